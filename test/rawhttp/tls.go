package rawhttp

import (
	"crypto/tls"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// OverTLS makes Listen and Connect speak TLS, so that the same tests show that the same promises hold over it.
var OverTLS = flag.Bool("tls", false, "run the tests over TLS")

// Listen returns a listener on a free port of this machine.
func Listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if *OverTLS {
		return tls.NewListener(listener, server().TLS)
	}
	return listener
}

// server returns a server that is closed, for its certificate.
var server = sync.OnceValue(func() *httptest.Server {
	s := httptest.NewTLSServer(nil)
	s.Close()
	return s
})

// clientTLS returns the configuration of a client that trusts the certificate.
func clientTLS() *tls.Config {
	config := server().Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "127.0.0.1"
	return config
}
