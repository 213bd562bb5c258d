package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/term"

	"httpipe/access"
)

// auditKey prints the key with which the audit log of a server without a secret can be read. The server need not run.
func auditKey(c *config) command {
	return command{
		name: "audit key", options: pick(c, "audit-db", "auth-secret", "config"),
		help: "print the audit key, which opens /audit",
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			if c.authSecret != "" {
				return errors.New("with --auth-secret there is no audit key; " +
					"/audit opens to the secret, and to a token: httpipe token --name NAME --allow audit --channels '*/*'")
			}
			path, err := filepath.Abs(c.auditDB)
			if err != nil {
				return fmt.Errorf("audit log %s: %w", c.auditDB, err)
			}
			path = keyPath(path)
			key, err := access.ReadKey(path)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no audit key %s yet; the server makes it when it first starts without --auth-secret (--audit-db says which log is meant)", path)
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(stdout, key)
			return nil
		},
	}
}

// keySuffix is what the file of an audit key is called by, behind the name of its log.
const keySuffix = ".key"

// keyPath returns the file of the audit key of a log: beside it, whatever links lead to it.
func keyPath(log string) string {
	if path, err := filepath.EvalSymlinks(log); err == nil {
		log = path
	}
	return log + keySuffix
}

// tellAuditKey shows on a terminal the address that opens the audit log. The log of the server only says how to get the key:
// others may read it.
func tellAuditKey(c *config, key string, addr net.Addr, logger *slog.Logger, terminal io.Writer) {
	switch {
	case terminal != nil:
		fmt.Fprintf(terminal, "who waits, and what has happened: %s\n", auditURL(c.host, addr, key))
	case c.audit == auditOff:
		logger.Info("nobody can use /audit/live: its key is shown on a terminal only, and here is none; with --auth-secret the secret opens it")
	default:
		logger.Info("/audit opens to the audit key, which \"httpipe audit key\" prints", "audit_key_file", keyPath(c.auditDB))
	}
}

// auditURL returns the address of the operator's page with the key. A server on all interfaces is reached as localhost.
func auditURL(host string, addr net.Addr, key string) string {
	port := 0
	if tcp, ok := addr.(*net.TCPAddr); ok {
		port = tcp.Port
		if tcp.IP.IsUnspecified() {
			host = "localhost"
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port)) + "/audit#token=" + key
}

// terminal returns the first of the streams that is a terminal, nil if there is none.
func terminal(streams ...io.Writer) io.Writer {
	for _, stream := range streams {
		if file, ok := stream.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			return file
		}
	}
	return nil
}
