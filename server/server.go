// Package server starts and stops the server: from the options to a listener that answers, until a signal. It opens what the
// other packages provide, and closes it again; everything that the server does meanwhile is theirs.
//
//	server.go   Run: opens the parts, serves, and stops on SIGTERM
//	guard.go    the access.Guard that the options call for
//	metrics.go  the separate listener for scrapes
//	nodes.go    this server as one of several nodes
//	tls.go      TLS on the port, and the separate listener for a certificate authority
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"httpipe/access"
	"httpipe/cli"
	"httpipe/httpapi"
	"httpipe/metrics"
	"httpipe/pipe"
	"httpipe/process"
	"httpipe/store"
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
	stop, stopped := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stopped()
	process.TuneMemory(logger)
	config, key, closeLog, err := openParts(version, c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
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

// logListening logs where the server listens, and what it does there. metricsAddr is "" without metrics.
func logListening(version string, c *cli.Config, logger *slog.Logger, addr net.Addr, metricsAddr string) {
	attrs := []any{"addr", addr.String(), "url", baseURL(c, addr), "version", version, "audit", string(c.Audit)}
	if c.Audit != cli.AuditOff {
		attrs = append(attrs, "audit_db", c.AuditDB)
	}
	if metricsAddr != "" {
		attrs = append(attrs, "metrics_addr", metricsAddr)
	}
	logger.Info("listening", attrs...)
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

// ownFiles returns the files that the server keeps, as process.Drop wants them, whether they exist or not: those of the audit
// log, and the certificates beside it.
func ownFiles(c *cli.Config) []string {
	if c.Audit == cli.AuditOff {
		return certificateFiles(c)
	}
	files := []string{c.AuditDB, c.AuditDB + "-wal", c.AuditDB + "-shm", c.AuditDB + "-journal"}
	return slices.Concat(files, access.KeyFiles(cli.KeyPath(c.AuditDB)), certificateFiles(c))
}

// openParts opens what the server needs besides the port, and returns the server's configuration with it. key is the audit
// key, or "" if there is a secret. The caller must call closeLog when the server has stopped.
func openParts(version string, c *cli.Config, logger *slog.Logger) (config httpapi.Config, key string, closeLog func() error, err error) {
	config = serverConfig(c, logger)
	if config.Limits.Waiting, err = process.WaitingLimit(c.MaxWaiting); err != nil {
		return config, "", nil, err
	}
	if config.Guard, err = secretGuard(c); err != nil {
		return config, "", nil, err
	}
	if config.Nodes, err = openMember(c, logger); err != nil {
		return config, "", nil, err
	}
	if config.Log, config.History, closeLog, err = openLog(version, c, logger); err != nil {
		return config, "", nil, err
	}
	if config.Guard == nil { // its key is stored beside the log
		if config.Guard, key, err = openGuard(c); err != nil {
			return config, "", nil, errors.Join(err, closeLog())
		}
	}
	return config, key, closeLog, nil
}

// openLog opens the audit log: as log if the server writes it, or as history if it only shows it. Both are nil with
// --audit=off.
func openLog(version string, c *cli.Config, logger *slog.Logger) (log *store.Log, history *store.History, stop func() error, err error) {
	switch c.Audit {
	case cli.AuditOff:
		return nil, nil, func() error { return nil }, nil
	case cli.AuditReadOnly:
		if history, err = store.OpenHistory(c.AuditDB); err != nil {
			return nil, nil, nil, err
		}
		return nil, history, history.Close, nil
	}
	process.TuneProcessors()
	log, err = store.Open(store.Config{
		Path:      c.AuditDB,
		Version:   version,
		Node:      c.Node,
		Retention: c.AuditRetention,
		Logger:    logger,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return log, nil, log.Close, nil
}

// serverConfig returns the options in the server's terms, without what openParts opens.
func serverConfig(c *cli.Config, logger *slog.Logger) httpapi.Config {
	var counts *metrics.Metrics
	if c.MetricsAddr != "" {
		counts = metrics.New()
	}
	return httpapi.Config{
		Metrics:        counts,
		Strict:         c.Audit == cli.AuditStrict,
		BestEffort:     c.Audit == cli.AuditBestEffort,
		RequestTimeout: c.RequestTimeout,
		ReadAhead:      int(c.ReadAhead),
		MaxBody:        c.MaxBody,
		StallTimeout:   c.StallTimeout,
		SilenceTimeout: c.SilenceTimeout,
		ReplyTimeout:   c.ReplyTimeout,

		MaxMessage:       c.MaxMessage,
		MaxMessageMemory: c.MaxMessageMemory,
		MessageTimeout:   c.MessageTimeout,

		Limits:         pipe.Limits{PerChannel: c.MaxWaitingPerChannel, PerClient: c.MaxWaitingPerClient},
		RatePerClient:  c.RatePerClient,
		ClientIPHeader: c.ClientIPHeader,
		MaxHeader:      int(c.MaxHeader),
		HeaderTimeout:  c.HeaderTimeout,
		RequireHTTPS:   c.RequireHTTPS,
		CORSOrigins:    strings.Split(c.CORSOrigin, ","),
		Logger:         logger,
	}
}

// listen opens the port, with TLS if the options say so, until stop. Keep-alive probes detect within a minute that a
// client's host has vanished; on one of several nodes, within five seconds.
func listen(ctx context.Context, c *cli.Config, logger *slog.Logger) (listener net.Listener, stop func(), err error) {
	probes := net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}
	if c.Nodes != "" {
		// A balancer behind a broken link sends its clients elsewhere within seconds, and they must not wait here too.
		probes.Idle, probes.Interval = 2*time.Second, time.Second
	}
	config := net.ListenConfig{KeepAliveConfig: probes}
	listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, nil, listenError(c, err)
	}
	secured, stop, err := secure(ctx, c, listener, logger)
	if err != nil {
		listener.Close()
	}
	return secured, stop, err
}

// listenError says why the port cannot be opened, and which option changes that.
func listenError(c *cli.Config, err error) error {
	unknown, isUnknown := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use by another program; choose another with --port (0: any free port)", c.Port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("user %d may not listen on port %d; give the program CAP_NET_BIND_SERVICE, or choose a port above 1023 with --port", os.Geteuid(), c.Port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine does not have the address %s; choose one of its own with --host, such as 127.0.0.1", c.Host)
	case isUnknown:
		return fmt.Errorf("cannot find the address of %s: %s; give a name or an address of this machine with --host, such as 127.0.0.1", c.Host, unknown.Err)
	}
	return fmt.Errorf("cannot listen on port %d: %w", c.Port, err)
}

func newLogger(c *cli.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// firstTerminal returns the first of the outputs that is a terminal, or nil.
func firstTerminal(outputs ...io.Writer) io.Writer {
	for _, w := range outputs {
		if cli.IsTerminal(w) {
			return w
		}
	}
	return nil
}

// announce shows which addresses to open. A terminal, if there is one, shows the audit key too; the server's log output
// must not contain it, since others may read that. With a secret there is no key.
func announce(c *cli.Config, logger *slog.Logger, addr net.Addr, key string, terminal io.Writer) {
	url := baseURL(c, addr)
	switch {
	case terminal != nil:
		text := "\nTo try it, open " + url + "/\n"
		if key != "" {
			page := "The audit log: "
			if c.Audit == cli.AuditOff {
				page = "The live view: "
			}
			text += page + " " + url + "/audit#token=" + key + "\n"
		}
		fmt.Fprint(terminal, text+"Ctrl-C stops the server.\n\n")
	case key == "":
	case c.Audit == cli.AuditOff:
		logger.Info("/audit/live cannot be opened: its key is printed only on a terminal, and there is none; to open it, set --auth-secret and use the secret")
	default:
		logger.Info("the audit key opens /audit; \"httpipe audit key\" prints it", "audit_key_file", cli.KeyPath(c.AuditDB))
	}
}
