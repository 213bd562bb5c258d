package server

import (
	"fmt"
	"log/slog"
	"net"

	"httpipe/access"
	"httpipe/cli"
)

// newGuard returns the guard of the server and, if it has no secret, the audit key. With a log, the key is in a file beside it,
// which is created if it is missing; the log must be open, because its lock keeps two servers from creating the key. Without a
// log, the key lasts as long as the process.
func newGuard(c *cli.Config) (guard *access.Guard, auditKey string, err error) {
	if !c.AuthSecret.None() {
		return access.New(c.AuthSecret, c.Anonymous), "", nil
	}
	auditKey = access.NewKey()
	if c.Audit != cli.AuditOff {
		auditKey, err = access.LoadOrCreateKey(cli.KeyPath(c.AuditDB))
	}
	if err != nil && c.Audit == cli.AuditReadOnly { // all else works in a directory that is not writable
		err = fmt.Errorf("%w; or set --auth-secret, which replaces the key", err)
	}
	if err != nil {
		return nil, "", err
	}
	return access.NewOpen(auditKey), auditKey, nil
}

// warnIfOpen warns if clients on other machines need no token: if they reach the server directly, or through the proxy
// that an option implies.
func warnIfOpen(c *cli.Config, logger *slog.Logger, guard *access.Guard, addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	local := ok && tcp.IP.IsLoopback()
	switch {
	case !guard.Open() || c.Audit == cli.AuditReadOnly:
	case local && (c.ClientIPHeader != "" || c.RequireHTTPS):
		logger.Warn("any client that reaches the proxy may produce, consume, look and delete; --auth-secret limits this to clients that have a token",
			"addr", addr.String())
	case ok && !local:
		logger.Warn("any client that reaches this address may produce, consume, look and delete; --auth-secret limits this to clients that have a token, --host 127.0.0.1 to this machine",
			"addr", addr.String())
	}
}
