// Package soak loads a server with clients of all kinds while it is killed, restarted and out of disk space, and then compares
// what the clients saw with the audit log. `scripts/soak 20m` runs it for 20 minutes; go test runs a short form of it.
package soak
