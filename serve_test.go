package main

import (
	"net"
	"testing"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, listens, want string }{
		{"", "::", "http://localhost:3000"},
		{"0.0.0.0", "0.0.0.0", "http://localhost:3000"},
		{"::", "::", "http://localhost:3000"},
		{"127.0.0.1", "127.0.0.1", "http://127.0.0.1:3000"},
		{"localhost", "127.0.0.1", "http://localhost:3000"},
		{"::1", "::1", "http://[::1]:3000"},
		{"relay.example", "192.0.2.1", "http://relay.example:3000"},
	} {
		if got := baseURL(test.host, &net.TCPAddr{IP: net.ParseIP(test.listens), Port: 3000}); got != test.want {
			t.Errorf("--host %q: %s, want %s", test.host, got, test.want)
		}
	}
}
