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

// Authority gets a certificate for one DNS name from a certificate authority by ACME (RFC 8555), and renews it when
// a third of its lifetime is left, or 30 days. The authority verifies the name by a request to its port 80 or 443.
//
// Package autocert does the work. It is part of the Go project and depends on no other module. This type decides when a
// failed first attempt is repeated, and logs what the operator must know.
type Authority struct {
	name    string
	manager *autocert.Manager
	logger  *slog.Logger
	ready   atomic.Bool // the certificate exists. Until then only Run requests it: authorities limit the attempts
}

// NewAuthority returns an Authority for a name, with the URL of the authority's directory. It keeps keys and certificates
// in dir, which it creates, for its owner alone. An operator that uses it accepts the authority's terms of service.
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

// A cache separates the files of several authorities in one directory. Without it, a certificate of a test authority would
// stay in use after the operator changes to the real one.
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

// Config returns the configuration for a server with this certificate. The server also answers the authority's challenges
// over TLS (RFC 8737). Until Run has a certificate, all other handshakes fail.
func (a *Authority) Config() *tls.Config { return config(a.certificate, acme.ALPNProto) }

func (a *Authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asks := slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto})
	if !asks && !a.ready.Load() {
		return nil, errors.New("the server has no certificate yet; see its log")
	}
	if hello.ServerName == "" { // as in a URL with an IP address
		hello.ServerName = a.name
	}
	return a.manager.GetCertificate(hello)
}

// Handler answers the authority's challenges over plain HTTP, and passes all other requests to others.
func (a *Authority) Handler(others http.Handler) http.Handler { return a.manager.HTTPHandler(others) }

// Run gets the certificate, from its directory or from the authority, and has it renewed. It blocks until ctx is done, and
// logs failures. The server must be listening, because the authority connects to it.
func (a *Authority) Run(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := a.obtain()
		if err == nil {
			break
		}
		a.logger.Error("no TLS certificate, so no client can connect; the DNS name must point to this server, and its port 80 or 443 must be reachable from outside",
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

// obtain has the manager get the certificate, as for a client with ECDSA, which every client with TLS 1.2 has.
func (a *Authority) obtain() error {
	_, err := a.manager.GetCertificate(a.hello())
	a.ready.Store(err == nil)
	return err
}

func (a *Authority) hello() *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: a.name, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// inspect logs the certificate if it is new, and warns if its renewal is overdue, because autocert does not report failed
// renewals. It returns when the certificate expires.
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
