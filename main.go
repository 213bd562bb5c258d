// Httpipe is an HTTP server through which one HTTP client pipes data to another. A producer sends a body
// to a named channel, a consumer reads from it; each waits until the other is there; the body then
// streams from the first request into the response of the second, and every such exchange leaves a
// record in an SQLite audit log.
//
//	curl -d hello  http://localhost:3000/channels/v1/do_work     # waits
//	curl           http://localhost:3000/channels/v1/do_work     # prints hello; both return
//
// Package pipe matches and relays, package store keeps the audit log, package access knows who may do what,
// package metrics counts, package httpapi speaks HTTP; this package configures them, and starts and stops them
// in the right order.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"httpipe/access"
	"httpipe/httpapi"
	"httpipe/metrics"
	"httpipe/pipe"
	"httpipe/store"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "httpipe:", err)
		os.Exit(1)
	}
}

// run is the program: it does what args say and returns when that is done, which for the relay is after
// a SIGTERM or SIGINT, or when ctx is done. Its error is one line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c config
	table := commands(&c)
	cmd, args, err := find(table, args)
	if err != nil {
		return err
	}
	args, err = parse(&c, cmd, args)
	if errors.Is(err, flag.ErrHelp) {
		help(stdout, table, cmd)
		return nil
	}
	if err != nil {
		return err
	}
	return cmd.run(ctx, args, stdout, stderr)
}

// serve runs the relay. What is started first is stopped last: the audit log outlives the server, whose
// last answers depend on it, and the metrics show the server stop.
//
//	SIGTERM ──▶ waiters get 503 ──▶ exchanges end, or are cut ──▶ answers go out ──▶ log is closed
func serve(ctx context.Context, c *config, stdout, stderr io.Writer) (err error) {
	logger := newLogger(c, stderr)
	if err := drop(c); err != nil {
		return err
	}
	stop, stopped := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stopped()

	tuneMemory(logger)
	waiting, err := waitingLimit(c.maxWaiting)
	if err != nil {
		return err
	}
	guard, err := secretGuard(c)
	if err != nil {
		return err
	}
	var log *store.Log
	listening := []any{"version", buildVersion(), "audit", string(c.audit)}
	if c.audit != auditOff {
		tuneProcessors()
		if log, err = openLog(c, logger); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		listening = append(listening, "audit_db", c.auditDB)
	}
	key := ""
	if guard == nil {
		if guard, key, err = openGuard(c); err != nil {
			return err
		}
	}
	config := serverConfig(c, log, guard, waiting, logger)
	server, err := httpapi.New(config)
	if err != nil {
		return err
	}
	if config.Metrics != nil {
		addr, stopMetrics, err := serveMetrics(ctx, c, config.Metrics, logger)
		if err != nil {
			return err
		}
		defer stopMetrics()
		listening = append(listening, "metrics_addr", addr)
	}
	listener, err := listen(ctx, c)
	if err != nil {
		return err
	}
	logger.Info("listening", append([]any{"addr", listener.Addr().String()}, listening...)...)
	warnIfOpen(logger, guard, listener.Addr())
	if guard.Open() {
		tellAuditKey(c, key, listener.Addr(), logger, terminal(stderr, stdout))
	}
	err = accept(stop, server, listener)
	drain(ctx, c, server, logger)
	return err
}

// accept serves until stop is done, or connections cannot be accepted any more.
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

// drain stops the server. What runs has --drain-timeout to end.
func drain(ctx context.Context, c *config, server *httpapi.Server, logger *slog.Logger) {
	logger.Info("stopping", "drain_timeout", c.drainTimeout.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.drainTimeout)
	defer cancel()
	ctx, cut := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // a second signal cuts at once
	defer cut()
	if err := server.Shutdown(ctx); err != nil {
		logger.Warn("stopping", "error", err)
	}
}

func openLog(c *config, logger *slog.Logger) (*store.Log, error) {
	return store.Open(store.Config{
		Path:       c.auditDB,
		Version:    buildVersion(),
		BestEffort: c.audit == auditBestEffort,
		Retention:  c.auditRetention,
		Logger:     logger,
	})
}

func serverConfig(c *config, log *store.Log, guard *access.Guard, waiting int, logger *slog.Logger) httpapi.Config {
	var counts *metrics.Metrics
	if c.metricsAddr != "" {
		counts = metrics.New()
	}
	return httpapi.Config{
		Log:            log,
		Metrics:        counts,
		Strict:         c.audit == auditStrict,
		BestEffort:     c.audit == auditBestEffort,
		Guard:          guard,
		RequestTimeout: c.requestTimeout,
		ReadAhead:      int(c.readAhead),
		MaxBody:        c.maxBody,
		StallTimeout:   c.stallTimeout,
		SilenceTimeout: c.silenceTimeout,
		Limits:         pipe.Limits{Waiting: waiting, PerChannel: c.maxWaitingPerChannel, PerClient: c.maxWaitingPerClient},
		RatePerClient:  c.ratePerClient,
		ClientIPHeader: c.clientIPHeader,
		MaxHeader:      int(c.maxHeader),
		HeaderTimeout:  c.headerTimeout,
		RequireHTTPS:   c.requireHTTPS,
		CORSOrigins:    strings.Split(c.corsOrigin, ","),
		Logger:         logger,
	}
}

// listen opens the port. Keep-alive probes find clients whose host has vanished within a minute.
func listen(ctx context.Context, c *config) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3,
	}}
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(c.host, strconv.Itoa(c.port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is in use by another program; choose one with --port (0: any free one)", c.port)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on port %d: %w", c.port, err)
	}
	return listener, nil
}

func newLogger(c *config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// version is set by a release's build: -ldflags "-X main.version=…".
var version string

func printVersion(_ context.Context, _ []string, stdout, _ io.Writer) error {
	fmt.Fprintln(stdout, "httpipe", buildVersion())
	return nil
}

// buildVersion is the version that this binary calls itself.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
