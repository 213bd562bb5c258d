// Package e2e tests the program from outside, as one process: how it starts and stops, its commands, its limits, what
// hostile clients send, and what it does under load.
package e2e
