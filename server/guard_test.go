package server

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"httpipe/access"
	"httpipe/cli"
)

func TestWarnIfOpen(t *testing.T) {
	t.Parallel()
	secrets, err := access.ParseSecrets("a-secret-for-tests-0123456789+/=")
	if err != nil {
		t.Fatal(err)
	}
	guard := access.New(secrets, nil)
	for addr, open := range map[string]bool{"127.0.0.1": false, "127.0.0.2": false, "::1": false, "::": true, "0.0.0.0": true, "192.0.2.1": true} {
		for _, c := range []*cli.Config{{}, {ClientIPHeader: "X-Real-IP"}, {RequireHTTPS: true}} {
			behindProxy := c.ClientIPHeader != "" || c.RequireHTTPS
			for guard, want := range map[*access.Guard]bool{access.NewOpen("key"): open || behindProxy, guard: false} {
				var log strings.Builder
				warnIfOpen(c, slog.New(slog.NewTextHandler(&log, nil)), guard, &net.TCPAddr{IP: net.ParseIP(addr), Port: 80})
				if warned := strings.Count(log.String(), "level=WARN") == 1 && strings.Count(log.String(), "\n") == 1; warned != want {
					t.Errorf("on %s, open %v, behind a proxy %v: logged %q", addr, guard.Open(), behindProxy, log.String())
				}
			}
		}
	}
}
