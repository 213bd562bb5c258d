package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"httpipe/cli"
)

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

// logListening logs the addresses of the server, its version and its audit log. metricsAddr is "" without metrics.
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

// firstTerminal returns the first of the outputs that is a terminal, or nil.
func firstTerminal(outputs ...io.Writer) io.Writer {
	for _, w := range outputs {
		if cli.IsTerminal(w) {
			return w
		}
	}
	return nil
}

// baseURL returns the address at which a browser on this machine, or of --tls-domain, finds the server.
func baseURL(c *cli.Config, addr net.Addr) string {
	scheme, host, port := "http", c.Host, "0"
	if tcp, ok := addr.(*net.TCPAddr); ok {
		port = fmt.Sprint(tcp.Port)
		if tcp.IP.IsUnspecified() {
			host = "localhost"
		}
	}
	if c.TLS() {
		scheme = "https"
	}
	if c.TLSDomain != "" {
		host = c.TLSDomain
	}
	url := scheme + "://" + net.JoinHostPort(host, port)
	if scheme == "https" {
		url = strings.TrimSuffix(url, ":443")
	}
	return url
}
