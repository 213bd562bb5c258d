package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair returns a certificate with that serial number, which is valid until then, and its key.
func pair(t *testing.T, serial int64, until time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: until.Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenFiles: what cannot be used is an error of one line, which names the file.
func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "a.pem"), filepath.Join(dir, "a.key")
	logger := slog.New(slog.DiscardHandler)
	_, keyA := pair(t, 9, time.Now().Add(time.Hour))
	for _, test := range []struct{ certificate, key, want string }{
		{"", "", "a.pem with the key " + key + ": tls: failed to find any PEM data"},
		{keyA, keyA, "a.pem with the key"},
	} {
		write(t, certificate, test.certificate)
		write(t, key, test.key)
		if _, err := OpenFiles(certificate, key, logger); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.30q: %v, want %s", test.certificate, err, test.want)
		}
	}
	if _, err := OpenFiles(dir+"/none", key, logger); err == nil || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("no certificate: %v", err)
	}
}

// TestFiles: changed files are used, and logged, once both are usable.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "a.pem"), filepath.Join(dir, "a.key")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	soon := time.Now().Add(time.Hour)
	put := func(certificateText, keyText string) {
		write(t, certificate, certificateText)
		write(t, key, keyText)
	}

	put(pair(t, 1, soon))
	files, err := OpenFiles(certificate, key, logger)
	if err != nil {
		t.Fatal(err)
	}
	// serves looks at the files, as a handshake does a second after the last one, and requires a certificate and log lines.
	serves := func(serial int64, logged ...string) {
		t.Helper()
		files.looked = time.Time{}
		if got := files.certificate().Leaf.SerialNumber.Int64(); got != serial {
			t.Errorf("it serves %d, want %d", got, serial)
		}
		if got := strings.Count(log.String(), "\n"); got != len(logged) {
			t.Errorf("it logged %d lines, want %d: %s", got, len(logged), log.String())
		}
		for _, want := range logged {
			if !strings.Contains(log.String(), want) {
				t.Errorf("it logged %s, want %s", log.String(), want)
			}
		}
		log.Reset()
	}
	serves(1)
	second, secondKey := pair(t, 2, soon)
	write(t, certificate, second)
	serves(1, "private key does not match public key")
	serves(1)
	write(t, key, secondKey)
	if got := files.certificate().Leaf.SerialNumber.Int64(); got != 1 {
		t.Errorf("within a second it serves %d", got)
	}
	serves(2, "the TLS certificate has changed")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	serves(2, "a.key: no such file")
	serves(2)
	put(pair(t, 3, time.Now().Add(-time.Minute)))
	serves(3, "the TLS certificate has changed", "has expired")
	serves(3)
}
