package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"httpipe/access"
)

// auditKey prints the key that opens the audit log of a server without a secret. The server need not run.
func auditKey(c *Config) command {
	picked := pick(c, "audit-db", "auth-secret", "config")
	reword(picked, "audit-db", "SQLite file of the audit log; the key is beside it")
	reword(picked, "auth-secret", "the server's secret; a server that has one has no audit key")
	return command{
		name: "audit key", options: picked,
		help: "print the audit key, which opens /audit",
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			if !c.AuthSecret.None() {
				return errors.New("with --auth-secret there is no audit key; " +
					"the secret opens /audit, and so does a token: httpipe token --name NAME --allow audit --channels '*/*'")
			}
			path, err := filepath.Abs(c.AuditDB)
			if err != nil {
				return fmt.Errorf("audit log %s: %w", c.AuditDB, err)
			}
			path = KeyPath(path)
			key, err := access.ReadKey(path)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no audit key %s; start the server, or restart it if it is running: it creates the key at a start without --auth-secret (--audit-db says which log)", path)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, key)
			return err
		},
	}
}

// KeyPath returns the path of the audit key of a log: beside the log itself, not beside a symbolic link to it.
func KeyPath(log string) string { return besideLog(log, ".key") }

// CertificatesPath returns the path of the directory for the keys and certificates of --tls-domain, beside the log.
func CertificatesPath(log string) string { return besideLog(cmp.Or(log, "httpipe.db"), ".tls") }

func besideLog(log, suffix string) string {
	if path, err := filepath.EvalSymlinks(log); err == nil {
		log = path
	}
	return log + suffix
}
