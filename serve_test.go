package main

import (
	"net"
	"testing"

	"httpipe/cli"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config  cli.Config
		listens string
		port    int
		want    string
	}{
		{cli.Config{}, "::", 3000, "http://localhost:3000"},
		{cli.Config{Host: "0.0.0.0"}, "0.0.0.0", 3000, "http://localhost:3000"},
		{cli.Config{Host: "::"}, "::", 3000, "http://localhost:3000"},
		{cli.Config{Host: "127.0.0.1"}, "127.0.0.1", 3000, "http://127.0.0.1:3000"},
		{cli.Config{Host: "localhost"}, "127.0.0.1", 3000, "http://localhost:3000"},
		{cli.Config{Host: "::1"}, "::1", 3000, "http://[::1]:3000"},
		{cli.Config{Host: "relay.example"}, "192.0.2.1", 3000, "http://relay.example:3000"},
		{cli.Config{TLSCert: "a", TLSKey: "b"}, "::", 3000, "https://localhost:3000"},
		{cli.Config{TLSDomain: "relay.example"}, "::", 3000, "https://relay.example:3000"},
		{cli.Config{TLSDomain: "relay.example", Host: "192.0.2.1"}, "192.0.2.1", 443, "https://relay.example"},
	} {
		if got := baseURL(&test.config, &net.TCPAddr{IP: net.ParseIP(test.listens), Port: test.port}); got != test.want {
			t.Errorf("%+v: %s, want %s", test.config, got, test.want)
		}
	}
}
