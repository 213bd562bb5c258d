package server

import (
	"log/slog"
	"net"

	"httpipe/access"
	"httpipe/cli"
)

// secretGuard returns the guard of a server that has a secret, or nil without one.
func secretGuard(c *cli.Config) (*access.Guard, error) {
	if c.AuthSecret == "" {
		return nil, nil
	}
	secrets, err := access.ParseSecrets(c.AuthSecret)
	if err != nil {
		return nil, err
	}
	var everyone []access.Grant
	if c.Anonymous != "" {
		if everyone, err = access.ParseGrants(c.Anonymous); err != nil {
			return nil, err
		}
	}
	return access.New(secrets, everyone), nil
}

// openGuard returns the guard of a server without a secret, and the audit key. With a log, the key is in a file beside it,
// which is created if it is missing, so the log must be open, and thereby locked. Without a log, the key lasts as long as
// the process.
func openGuard(c *cli.Config) (guard *access.Guard, auditKey string, err error) {
	auditKey = access.NewKey()
	if c.Audit != cli.AuditOff {
		if auditKey, err = access.LoadOrCreateKey(cli.KeyPath(c.AuditDB)); err != nil {
			return nil, "", err
		}
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
