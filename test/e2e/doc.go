// Package e2e tests the program as a process: start and stop, commands, limits, hostile clients, load.
package e2e
