// Package certs provides the certificate of a server that terminates TLS itself. Files reads it from two files, and again
// when they change. Authority gets it from a certificate authority by ACME (RFC 8555), and renews it.
package certs

import "crypto/tls"

// config returns the configuration of a server of HTTP/1.1 over TLS 1.2 and 1.3.
func config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: get,
		MinVersion:     tls.VersionTLS12,
		NextProtos:     append([]string{"http/1.1", "http/1.0"}, protocols...), // curl --http1.0 offers only that

		// A record is as large as a write: small ones would cost a system call for each kilobyte of a short message.
		DynamicRecordSizingDisabled: true,
	}
}
