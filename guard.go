package main

import (
	"errors"
	"log/slog"
	"net"

	"httpipe/access"
	"httpipe/cli"
)

// newGuard returns who lets clients in, or nil if everybody may do everything.
func newGuard(c *cli.Config) (*access.Guard, error) {
	if c.AuthSecret == "" {
		if c.Anonymous != "" {
			return nil, errors.New("--anonymous is of no use without --auth-secret: everybody may do everything")
		}
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

// warnIfOpen says that the server has no control over who uses it, if other machines reach it: directly, or
// through the proxy that an option speaks of.
func warnIfOpen(c *cli.Config, logger *slog.Logger, guard *access.Guard, addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	local := ok && tcp.IP.IsLoopback()
	switch {
	case guard != nil:
	case local && (c.ClientIPHeader != "" || c.RequireHTTPS):
		logger.Warn("any client that reaches the proxy may produce, consume and delete; --auth-secret limits this to clients that have a token",
			"addr", addr.String())
	case ok && !local:
		logger.Warn("whoever reaches this address may produce, consume and delete; --auth-secret keeps it to those who have a token, --host 127.0.0.1 to this machine",
			"addr", addr.String())
	}
}
