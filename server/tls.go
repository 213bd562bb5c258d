package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"httpipe/certs"
	"httpipe/cli"
	"httpipe/reply"
)

// secure wraps the listener in TLS, if the options say so. Until stop, it gets and renews the certificate of --tls-domain.
func secure(ctx context.Context, c *cli.Config, listener net.Listener, logger *slog.Logger) (secured net.Listener, stop func(), err error) {
	switch {
	case c.TLSDomain != "":
		return getCertificate(ctx, c, listener, logger)
	case c.TLSCert != "":
		files, err := certs.OpenFiles(c.TLSCert, c.TLSKey, logger)
		if err != nil {
			return nil, nil, err
		}
		return tls.NewListener(listener, files.Config()), func() {}, nil
	}
	return listener, func() {}, nil
}

// getCertificate wraps the listener in TLS with a certificate from an authority, which is renewed until stop.
func getCertificate(ctx context.Context, c *cli.Config, listener net.Listener, logger *slog.Logger) (secured net.Listener, stop func(), err error) {
	authority, err := certs.NewAuthority(c.TLSDomain, c.ACMEURL, cli.CertificatesPath(c.AuditDB), logger)
	if err != nil {
		return nil, nil, err
	}
	stopAnswers := func() {}
	if c.ACMEAddr != "" {
		if stopAnswers, err = serveACME(ctx, c, authority, logger); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	go authority.Run(ctx)
	return tls.NewListener(listener, authority.Config()), func() { cancel(); stopAnswers() }, nil
}

// serveACME answers the authority on --acme-addr until stop, and all other requests with 403.
func serveACME(ctx context.Context, c *cli.Config, authority *certs.Authority, logger *slog.Logger) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.ACMEAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the certificate authority (--acme-addr): %w; choose another address, or off if the relay is on port 443", err)
	}
	server := &http.Server{
		Handler:      authority.Handler(http.HandlerFunc(refusePlainHTTP)),
		ReadTimeout:  c.HeaderTimeout,
		WriteTimeout: c.HeaderTimeout,
		IdleTimeout:  time.Second,
		ErrorLog:     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go server.Serve(listener)
	logger.Info("listening for the certificate authority", "addr", listener.Addr().String())
	return func() { server.Close() }, nil
}

// refusePlainHTTP answers a request to the port that serves only the certificate authority.
func refusePlainHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Connection", "close")
	reply.HTTPSRequired().Response(reply.WantsJSON(strings.Join(r.Header["Accept"], ", "))).Write(w)
}

// certificateFiles returns the directory for the certificates of --tls-domain, as process.Drop wants it.
func certificateFiles(c *cli.Config) []string {
	if c.TLSDomain == "" {
		return nil
	}
	return []string{cli.CertificatesPath(c.AuditDB) + "/"}
}
