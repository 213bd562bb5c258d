// Httpipe is an HTTP server through which one HTTP client pipes data to another. A producer sends a body
// to a named channel, a consumer reads from it; each waits until the other is there; the body then
// streams from the first request into the response of the second, and every such exchange leaves a
// record in an SQLite audit log. A topic sends a message to all its subscribers; a service returns an answer
// to each message.
//
//	curl -d hello  http://localhost:3000/channels/demo/hello     # waits
//	curl           http://localhost:3000/channels/demo/hello     # prints hello; both return
//
// This package starts and stops the relay:
//
//	serve.go    from the options to a listening server, and what happens on SIGTERM
//	guard.go    the access.Guard that the options call for
//	metrics.go  the separate listener for scrapes
//	nodes.go    this server as one of several nodes
//	tls.go      TLS on the port, and the separate listener for a certificate authority
//
// The other packages, from the outside in:
//
//	cli         the command line
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
	"io"
	"os"
	"runtime/debug"

	"httpipe/cli"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "httpipe:", err)
	}
	os.Exit(cli.ExitCode(err))
}

// run runs the command that args name, and returns when it is done. The relay is done after a SIGTERM or SIGINT, or
// when ctx is done. The error is one line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	return cli.Program{Version: buildVersion(), Stdout: stdout, Stderr: stderr, Serve: serve}.Run(ctx, args)
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
