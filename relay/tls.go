package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"httpipe/reply"
)

// A secured connection is TLS. It ends without a close_notify if a write has failed: what was sent is not whole then,
// and the alert would have to wait for a client that does not read.
type secured struct {
	*tls.Conn
	failed atomic.Bool
}

func (s *secured) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		s.failed.Store(true)
	}
	return n, err
}

func (s *secured) Close() error {
	if s.failed.Load() {
		return s.NetConn().Close()
	}
	return s.Conn.Close()
}

func (s *secured) CloseWrite() error {
	if s.failed.Load() {
		return nil
	}
	return s.Conn.CloseWrite()
}

// findSocket sets the fields of what carries the connection.
func (c *Conn) findSocket() {
	c.fd = -1
	carrier := c.Conn
	if conn, ok := c.Conn.(*tls.Conn); ok {
		c.tls, carrier = &secured{Conn: conn}, conn.NetConn()
		c.Conn = c.tls
	}
	tcp, ok := carrier.(*net.TCPConn)
	if !ok {
		return
	}
	c.tcp = tcp
	c.socket, _ = tcp.SyscallConn() // fails only if the connection is closed already
	if c.socket != nil {
		c.socket.Control(func(fd uintptr) { c.fd = int32(fd) })
	}
	c.plain = c.socket != nil && c.tls == nil
}

// Secure reports whether the connection is TLS.
func (c *Conn) Secure() bool { return c != nil && c.tls != nil }

// handshake completes the TLS handshake, if the connection is TLS, and reports whether requests may follow. The engine's
// sweep limits its time.
func (c *Conn) handshake() bool {
	if c.tls == nil {
		return true
	}
	err := c.tls.Handshake()
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && isHTTP(header.RecordHeader) {
		c.refusePlain()
	}
	if err != nil {
		c.engine.relay.config.Logger.LogAttrs(context.Background(), slog.LevelDebug, "TLS handshake failed", slog.String("client", c.Addr), slog.Any("error", err))
		return false
	}
	// A certificate authority that checks the name by TLS-ALPN-01 has seen what it wants.
	protocol := c.tls.ConnectionState().NegotiatedProtocol
	return protocol == "" || strings.HasPrefix(protocol, "http/1.")
}

// isHTTP reports whether the first bytes of a connection are those of a plain HTTP request.
func isHTTP(start [5]byte) bool {
	method, _, ended := strings.Cut(string(start[:]), " ")
	for _, known := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		if method == known || !ended && strings.HasPrefix(known, method) {
			return true
		}
	}
	return false
}

// refusePlain answers a plain HTTP request on a TLS connection, whose handshake has failed. The answer is not encrypted.
func (c *Conn) refusePlain() {
	plain := &Conn{Conn: c.tls.NetConn(), tcp: c.tcp, engine: c.engine}
	plain.refuse(&Response{header: make(http.Header)}, reply.HTTPSRequired())
}
