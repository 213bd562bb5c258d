package main

import (
	"net"
	"slices"
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

// The certificates of --tls-domain belong to the server's user with and without a log.
func TestOwnFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config cli.Config
		want   []string
	}{
		{cli.Config{Audit: cli.AuditOff}, nil},
		{cli.Config{Audit: cli.AuditOff, TLSDomain: "relay.example"}, []string{"httpipe.db.tls/"}},
		{cli.Config{Audit: cli.AuditRequired, AuditDB: "/data/a.db", TLSDomain: "relay.example"}, []string{"/data/a.db", "/data/a.db-journal", "/data/a.db.tls/"}},
	} {
		got := ownFiles(&test.config)
		if (len(got) == 0) != (len(test.want) == 0) {
			t.Errorf("%+v: %q, want %q", test.config, got, test.want)
		}
		for _, file := range test.want {
			if !slices.Contains(got, file) {
				t.Errorf("%+v: %q, want %q among them", test.config, got, file)
			}
		}
	}
}
