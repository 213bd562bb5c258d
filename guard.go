package main

import (
	"errors"
	"log/slog"
	"net"

	"httpipe/access"
)

// secretGuard returns who lets clients in where there is a secret, and nil where there is none.
func secretGuard(c *config) (*access.Guard, error) {
	if c.authSecret == "" {
		if c.anonymous != "" {
			return nil, errors.New("--anonymous is of no use without --auth-secret: without a secret everybody may produce, consume, look and delete")
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

// openGuard returns who lets clients in where there is no secret, and the audit key. Where there is a log the key lies beside
// it; the log must be open, and so locked, since the file is made if it is missing. Without a log the key is for this process
// alone.
func openGuard(c *config) (guard *access.Guard, auditKey string, err error) {
	auditKey = access.NewKey()
	if c.audit != auditOff {
		if auditKey, err = access.KeepKey(keyPath(c.auditDB)); err != nil {
			return nil, "", err
		}
	}
	return access.Open(auditKey), auditKey, nil
}

// warnIfOpen says that the server has no control over who uses it, if others than this machine reach it.
func warnIfOpen(logger *slog.Logger, guard *access.Guard, addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && guard.Open() && !tcp.IP.IsLoopback() {
		logger.Warn("everybody who reaches this address may produce, consume, look and delete; --auth-secret keeps it to those who have a token, --host 127.0.0.1 to this machine",
			"addr", addr.String())
	}
}
