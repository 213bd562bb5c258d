// Package soak lets many clients of all kinds use a server that is killed, restart and out of disk space in between, and
// then compares what the clients saw with the audit log.
package soak
