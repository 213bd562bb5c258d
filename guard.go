package main

import (
	"errors"
	"log/slog"
	"net"

	"httpipe/access"
)

// newGuard returns who lets clients in, or nil if everybody may do everything.
func newGuard(c *config) (*access.Guard, error) {
	if c.authSecret == "" {
		if c.anonymous != "" {
			return nil, errors.New("--anonymous is of no use without --auth-secret: everybody may do everything")
		}
		return nil, nil
	}
	secrets, err := access.ParseSecrets(c.authSecret)
	if err != nil {
		return nil, err
	}
	var everyone []access.Grant
	if c.anonymous != "" {
		if everyone, err = access.ParseGrants(c.anonymous); err != nil {
			return nil, err
		}
	}
	return access.New(secrets, everyone), nil
}

// warnIfOpen says that the server has no control over who uses it, if others than this machine reach it.
func warnIfOpen(logger *slog.Logger, guard *access.Guard, addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && guard == nil && !tcp.IP.IsLoopback() {
		logger.Warn("whoever reaches this address may produce, consume and delete; --auth-secret keeps it to those who have a token, --host 127.0.0.1 to this machine",
			"addr", addr.String())
	}
}
