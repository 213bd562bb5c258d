// Package server starts and stops the server: from the options to a listener that answers, until a signal. It opens what the
// other packages provide, and closes it again; they do everything in between.
//
//	server.go   Run: opens the parts, serves, and stops on SIGTERM
//	parts.go    the audit log, and the options in the terms of package httpapi
//	guard.go    the access.Guard that the options call for
//	nodes.go    this server as one of several nodes
//	listen.go   the port, and where to find the server
//	tls.go      TLS on the port, and the separate listener for a certificate authority
//	metrics.go  the separate listener for scrapes
package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"httpipe/cli"
	"httpipe/httpapi"
	"httpipe/process"
)

// Run runs the server until a SIGTERM or SIGINT arrives, or ctx is done, and returns when it has stopped. It stops its parts
// in reverse order: the audit log outlives the server, whose last answers depend on it, and the metrics show how the server
// stops. The error is one line.
//
//	SIGTERM ──▶ waiters get 503 ──▶ exchanges end, or are cut ──▶ answers go out ──▶ log is closed
func Run(ctx context.Context, version string, c *cli.Config, stdout, stderr io.Writer) (err error) {
	logger := newLogger(c, stderr)
	if err := process.Drop(c.DropTo, ownFiles(c)...); err != nil {
		return err
	}
	for _, warning := range cli.UnknownVariables(os.Environ()) {
		logger.Warn(warning)
	}
	signal.Ignore(syscall.SIGPIPE) // a program that read the log lines has ended, as in "httpipe 2>&1 | head"; the server goes on
	stop, stopped := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stopped()
	process.TuneMemory(logger)
	config, key, closeLog, err := openParts(version, c, logger)
	if err != nil {
		return err
	}
	defer func() {
		failed := closeLog()
		if err != nil && failed != nil {
			logger.Error("the audit log was not closed cleanly", "error", failed) // err is one line, and says why the server stops
		}
		err = cmp.Or(err, failed)
	}()
	server := httpapi.New(config)
	metricsAddr, stopMetrics, err := serveMetrics(ctx, c, config.Metrics, logger)
	if err != nil {
		return err
	}
	defer stopMetrics()
	listener, stopTLS, err := listen(ctx, c, logger)
	if err != nil {
		return err
	}
	defer stopTLS()
	logListening(version, c, logger, listener.Addr(), metricsAddr)
	warnIfOpen(c, logger, config.Guard, listener.Addr())
	announce(c, logger, listener.Addr(), key, firstTerminal(stderr, stdout))
	if config.Nodes != nil {
		defer rereadTable(c, config.Nodes, logger)()
	}
	err = accept(stop, server, listener)
	drain(ctx, c, server, logger)
	return err
}

// accept serves until stop is done, or the listener fails.
func accept(stop context.Context, server *httpapi.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot accept connections: %w", err)
	case <-stop.Done():
		return nil
	}
}

// drain stops the server. Running exchanges have --drain-timeout to end.
func drain(ctx context.Context, c *cli.Config, server *httpapi.Server, logger *slog.Logger) {
	logger.Info("stopping", "drain_timeout", c.DrainTimeout.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout)
	defer cancel()
	ctx, cut := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // a second signal cuts at once
	defer cut()
	if err := server.Shutdown(ctx); err != nil {
		logger.Warn("did not shut down cleanly", "error", err)
	}
}

func newLogger(c *cli.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
