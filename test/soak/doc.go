// Package soak loads a server with clients of all kinds while it is killed, restarted and out of disk space, and then compares
// what the clients saw with the audit log.
package soak
