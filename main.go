// Httpipe is an HTTP server through which one HTTP client pipes data to another. A producer sends a body
// to a named channel, a consumer reads from it; each waits until the other is there; the body then
// streams from the first request into the response of the second, and every such exchange leaves a
// record in an SQLite audit log. A topic sends a message to all its subscribers; a service returns an answer
// to each message.
//
//	curl -d hello  http://localhost:3000/channels/demo/hello     # waits
//	curl           http://localhost:3000/channels/demo/hello     # prints hello; both return
//
// The packages, from the outside in:
//
//	cli         the command line
//	server      starts and stops the server: from the options to a listener, until SIGTERM
//	client      the client side: it sends and receives, and tries again when a request ends early
//	process     the operating system's process: user, files, memory
//	httpapi     the HTTP server: routes, permissions, lists, live view, audit API
//	web         its pages, manual and OpenAPI document
//	relay       the relay path: from a producer's connection to a consumer's
//	reply       responses as data: the status, headers and body for each outcome
//	access      tokens and permissions
//	nodes       several servers behind HAProxy: which of them serves a name
//	certs       certificates for TLS: from files, or from a certificate authority
//	audit       events as rows of the log, and questions about it
//	metrics     counters for Prometheus
//	store       the audit log, in SQLite; migrations has its schema
//	pipe        the core: it matches producers with consumers, sends publications to subscribers, and decides how each ends
//	test        tests of the whole program; test/README.md lists them, scripts/ runs them
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"httpipe/cli"
	"httpipe/server"
)

func main() {
	program := cli.Program{Version: buildVersion(), Stdout: os.Stdout, Stderr: os.Stderr, Serve: server.Run}
	err := program.Run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "httpipe:", err)
	}
	os.Exit(cli.ExitCode(err))
}

// version is set by a release's build: -ldflags "-X main.version=…".
var version string

// buildVersion returns the version that this binary reports.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
