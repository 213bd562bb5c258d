package main

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"httpipe/access"
)

func TestWarnIfOpen(t *testing.T) {
	t.Parallel()
	guard, err := newGuard(&config{authSecret: aSecret, anonymous: "produce:a/*"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, open := range map[string]bool{"127.0.0.1": false, "127.0.0.2": false, "::1": false, "::": true, "0.0.0.0": true, "192.0.2.1": true} {
		for _, c := range []*config{{}, {clientIPHeader: "X-Real-IP"}, {requireHTTPS: true}} {
			behindProxy := c.clientIPHeader != "" || c.requireHTTPS
			for guard, want := range map[*access.Guard]bool{nil: open || behindProxy, guard: false} {
				var log strings.Builder
				warnIfOpen(c, slog.New(slog.NewTextHandler(&log, nil)), guard, &net.TCPAddr{IP: net.ParseIP(addr), Port: 80})
				if warned := strings.Count(log.String(), "level=WARN") == 1 && strings.Count(log.String(), "\n") == 1; warned != want {
					t.Errorf("on %s, guarded %v, behind a proxy %v: logged %q", addr, guard != nil, behindProxy, log.String())
				}
			}
		}
	}
}
