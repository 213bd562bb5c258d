// Package tls tests a server that terminates TLS itself, with curl, openssl, Go's client, and Pebble as certificate authority.
package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

func TestMain(m *testing.M) { os.Exit(kit.Main(m)) }

// A ca issues certificates that the tests' clients trust: Go's default client, and curl by a variable.
type ca struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string // its certificate
}

// newCA makes one, which clients trust until the end of the test.
func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA of the tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	der, c.key = issue(t, template, nil)
	var err error
	if c.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	kit.WriteFile(t, c.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	t.Setenv("CURL_CA_BUNDLE", c.file)
	trust(t, c.certificate)
	return c
}

// trust makes Go's default client trust a certificate, until the end of the test.
func trust(t *testing.T, root *x509.Certificate) {
	t.Helper()
	original := http.DefaultTransport
	transport := original.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	transport.TLSClientConfig.RootCAs.AddCert(root)
	http.DefaultTransport = transport
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		http.DefaultTransport = original
	})
}

// issue returns a certificate by the template, and its key. An issuer of nil is the key itself.
func issue(t *testing.T, template *x509.Certificate, by *ca) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer, signer := template, key
	if by != nil {
		issuer, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// write writes a certificate for this machine with that serial number, and its key, into two files.
func (c *ca) write(t *testing.T, serial int64, certificate, key string) {
	t.Helper()
	der, private := issue(t, &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, c)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} {
		// As certbot and its like do: the new file takes the place of the old one at once.
		kit.WriteFile(t, file+".new", string(pem.EncodeToMemory(block)))
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

// TLS with a certificate from files.
type server struct {
	*kit.Server
	ca               *ca
	certificate, key string // files
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	return startBy(t, nil, args...)
}

// startBy is start for a server that a command starts.
func startBy(t *testing.T, by []string, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{ca: newCA(t), certificate: filepath.Join(dir, "relay.pem"), key: filepath.Join(dir, "relay.key")}
	s.ca.write(t, 1, s.certificate, s.key)
	s.Server = kit.StartBy(t, dir, by, append(args, "--tls-cert", s.certificate, "--tls-key", s.key)...)
	if !strings.HasPrefix(s.URL, "https://") {
		t.Fatalf("the server says that it is %s", s.URL)
	}
	return s
}

// addr returns the server's address.
func (s *server) addr() string { return strings.TrimPrefix(s.URL, "https://") }

// served returns the certificate that a server shows for a name, or why there is none.
func served(addr, name string, more ...string) (*x509.Certificate, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: kit.Patience}, "tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: more})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(kit.Patience); !so(); time.Sleep(10 * kit.Pause) {
		if time.Now().After(deadline) {
			t.Fatal(fmt.Sprint("still not: ", what))
		}
	}
}
