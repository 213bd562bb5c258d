// Package process prepares the operating system's process that a relay runs in: the user it runs as, how many files
// it may open and therefore how many requests may wait, and how much memory and how many processors the Go runtime
// uses.
package process
