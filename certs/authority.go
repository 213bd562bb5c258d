package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// Between two attempts to get the first certificate. Authorities allow few failures in an hour.
	firstRetry, lastRetry = time.Minute, time.Hour
	// inspectEvery is how often Run looks whether the certificate has been renewed.
	inspectEvery = time.Hour
)

// Authority gets a certificate for one name from a certificate authority that speaks ACME (RFC 8555), and renews it when
// a third of its lifetime is left, or 30 days. The authority checks the name by a request to port 80 or 443 of it.
//
// Package autocert does that. It is part of the Go project and brings no other module; it leaves to this type
// when a first attempt is repeated, and to tell the operator.
type Authority struct {
	name    string
	manager *autocert.Manager
	logger  *slog.Logger
	ready   atomic.Bool // there is a certificate. Until then only Run asks for one, or each handshake would count as an attempt
}

// NewAuthority returns an Authority for a name, with the URL of the authority's directory. It keeps keys and certificates
// in dir, which it creates, for its owner alone. By its use the operator accepts the authority's terms of service.
func NewAuthority(name, directory, dir string, logger *slog.Logger) (*Authority, error) {
	if err := makePrivate(dir); err != nil {
		return nil, fmt.Errorf("directory for TLS certificates: %w; the server's user must be able to write beside the audit log", err)
	}
	prefix := "acme_"
	if u, err := url.Parse(directory); err == nil {
		prefix = u.Host + "_"
	}
	a := &Authority{name: strings.ToLower(name), logger: logger}
	a.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      cache{autocert.DirCache(dir), prefix},
		HostPolicy: a.policy,
		Client:     &acme.Client{DirectoryURL: directory, UserAgent: "httpipe"},
	}
	return a, nil
}

// A cache keeps the files of one authority apart from those of others in the same directory: otherwise a certificate for trials
// would stay in use when the operator changes to the real authority.
type cache struct {
	autocert.DirCache
	prefix string
}

func (c cache) Get(ctx context.Context, name string) ([]byte, error) {
	return c.DirCache.Get(ctx, c.prefix+name)
}

func (c cache) Put(ctx context.Context, name string, data []byte) error {
	return c.DirCache.Put(ctx, c.prefix+name, data)
}

func (c cache) Delete(ctx context.Context, name string) error {
	return c.DirCache.Delete(ctx, c.prefix+name)
}

// makePrivate makes a directory that only its owner can enter, and in which files can be created.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return err
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// policy allows the one name, with or without a port.
func (a *Authority) policy(_ context.Context, host string) error {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !strings.EqualFold(strings.TrimSuffix(host, "."), a.name) {
		return fmt.Errorf("the certificate is for %s, not for %q", a.name, host)
	}
	return nil
}

// Config returns the configuration for a server that has the certificate, and that answers the authority's questions over
// TLS (RFC 8737). Until Run has a certificate, handshakes fail.
func (a *Authority) Config() *tls.Config { return config(a.certificate, acme.ALPNProto) }

func (a *Authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asks := slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto})
	if !asks && !a.ready.Load() {
		return nil, errors.New("there is no certificate yet")
	}
	if hello.ServerName == "" { // as in a URL with an IP address
		hello.ServerName = a.name
	}
	return a.manager.GetCertificate(hello)
}

// Handler answers the authority's questions over plain HTTP, and passes other requests to the handler.
func (a *Authority) Handler(others http.Handler) http.Handler { return a.manager.HTTPHandler(others) }

// Run gets the certificate, from its directory or the authority, and has it renewed, until ctx is done. It logs what
// happens. The server must be listening.
func (a *Authority) Run(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := a.obtain()
		if err == nil {
			break
		}
		a.logger.Error("no TLS certificate, so no client can connect; the name must lead to this server, and port 80 or 443 be reachable from outside",
			"name", a.name, "error", err, "next_attempt_in", wait.String())
		if !sleep(ctx, wait) {
			return
		}
	}
	for expires := (time.Time{}); ; {
		expires = a.inspect(expires)
		if !sleep(ctx, inspectEvery) {
			return
		}
	}
}

// obtain has the manager get the certificate, as for a client that understands ECDSA, as all do that speak TLS 1.2.
func (a *Authority) obtain() error {
	_, err := a.manager.GetCertificate(a.hello())
	a.ready.Store(err == nil)
	return err
}

func (a *Authority) hello() *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: a.name, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// inspect logs the certificate if it is new, and warns if it should have been renewed long ago: autocert repeats a renewal that
// fails, and tells nobody. It returns when the certificate expires.
func (a *Authority) inspect(before time.Time) time.Time {
	certificate, err := a.manager.GetCertificate(a.hello())
	if err != nil {
		return before
	}
	leaf := certificate.Leaf
	lifetime, left := leaf.NotAfter.Sub(leaf.NotBefore), time.Until(leaf.NotAfter)
	switch {
	case !leaf.NotAfter.Equal(before):
		a.logger.Info("TLS certificate", "name", a.name, "expires", leaf.NotAfter)
	case left < min(lifetime/4, 25*24*time.Hour):
		a.logger.Warn("the TLS certificate is not renewed; port 80 or 443 of its name must be reachable from outside", "name", a.name, "expires", leaf.NotAfter)
	}
	return leaf.NotAfter
}

// sleep waits, and reports whether ctx is still not done.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
