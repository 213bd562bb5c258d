package certs

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/acme/autocert"
)

// Package test/tls has an authority that issues certificates.

func TestAuthoritiesApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	trial, err := NewAuthority("relay.example", "https://trial.example/dir", dir, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	real, err := NewAuthority("relay.example", "https://real.example/dir", dir, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := trial.manager.Cache.Put(t.Context(), "relay.example", []byte("a certificate for trials")); err != nil {
		t.Fatal(err)
	}
	if data, err := real.manager.Cache.Get(t.Context(), "relay.example"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("after a change of the authority: %s, %v", data, err)
	}
	if data, err := trial.manager.Cache.Get(t.Context(), "relay.example"); err != nil || string(data) != "a certificate for trials" {
		t.Errorf("%s, %v", data, err)
	}
}

func TestNames(t *testing.T) {
	a, err := NewAuthority("Relay.example", "https://ca.example/dir", t.TempDir(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	for host, allowed := range map[string]bool{"relay.example": true, "RELAY.example": true, "relay.example.": true, "relay.example:80": true,
		"": false, "other.example": false, "a.relay.example": false, "192.0.2.1": false} {
		if err := a.policy(t.Context(), host); (err == nil) != allowed {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	for _, dir := range []string{file, filepath.Join(file, "tls")} {
		if _, err := NewAuthority("relay.example", "https://ca.example/dir", dir, slog.Default()); err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAuthority("relay.example", "https://ca.example/dir", dir, slog.Default()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
	}
}
