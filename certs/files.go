package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often Files looks at its files, at most. It looks during a handshake.
const checkEvery = time.Second

// Files is a certificate with its key, in two files.
type Files struct {
	paths  [2]string // of the certificate and the key, PEM
	logger *slog.Logger

	mu      sync.Mutex // guards the rest
	current *tls.Certificate
	seen    [2]fs.FileInfo // of the files when they were last read, whether usable or not
	looked  time.Time      // when the files were last checked
	failed  string         // the last error of reading them, which is logged once; "" if they are usable
}

// OpenFiles reads a certificate, followed by those of its issuers, and its key from two PEM files. Its error is one line.
// It logs later changes of the files to logger.
func OpenFiles(certificate, key string, logger *slog.Logger) (*Files, error) {
	f := &Files{paths: [2]string{certificate, key}, logger: logger, looked: time.Now()}
	seen, err := f.stat()
	if err == nil {
		f.seen = seen
		f.current, err = f.read()
	}
	if err != nil {
		return nil, err
	}
	f.warnIfExpired()
	return f, nil
}

// Config returns the configuration for a server with this certificate.
func (f *Files) Config() *tls.Config {
	return config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.certificate(), nil })
}

// certificate returns the certificate in the files. If they have changed and cannot be used, for example because only one
// of them is new yet, it returns the last one that could.
func (f *Files) certificate() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < checkEvery {
		return f.current
	}
	f.looked = time.Now()
	seen, err := f.stat()
	if err == nil && same(seen[0], f.seen[0]) && same(seen[1], f.seen[1]) {
		return f.current
	}
	var changed *tls.Certificate
	if err == nil {
		f.seen = seen
		changed, err = f.read()
	}
	if err != nil {
		if err.Error() != f.failed {
			f.logger.Warn("the TLS certificate has changed and cannot be used; the last one stays in use", "error", err)
		}
		f.failed = err.Error()
		return f.current
	}
	f.current, f.failed = changed, ""
	f.logger.Info("the TLS certificate has changed", "expires", changed.Leaf.NotAfter)
	f.warnIfExpired()
	return f.current
}

func (f *Files) stat() (seen [2]fs.FileInfo, err error) {
	for i, path := range f.paths {
		if seen[i], err = os.Stat(path); err != nil {
			return seen, f.explain(err)
		}
	}
	return seen, nil
}

// same reports whether two looks at a file found the same content, as far as its inode, size and time tell.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *Files) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.paths[0], f.paths[1])
	if err != nil {
		return nil, f.explain(err)
	}
	return &pair, nil
}

func (f *Files) explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("TLS certificate: user %d may not read it: %w; give the server's user, or its group, access to the file", os.Geteuid(), err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	return fmt.Errorf("TLS certificate %s with the key %s: %w", f.paths[0], f.paths[1], err)
}

func (f *Files) warnIfExpired() {
	if until := f.current.Leaf.NotAfter; time.Now().After(until) {
		f.logger.Warn("the TLS certificate has expired, so clients refuse it; replace its files, which are read again", "expired", until, "file", f.paths[0])
	}
}
