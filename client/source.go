package client

import (
	"errors"
	"io"
	"os"
	"sync"
)

// A source is the body of one request. The transport may read it until Close, even after it has returned a response.
type source struct {
	body  io.ReadCloser
	left  int64 // bytes to its end; less than 0: not known
	touch func()

	mu  sync.Mutex // guards err
	err error      // of reading the body
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.touch()
	if s.left >= 0 {
		s.left -= int64(n)
		if err == io.EOF && s.left > 0 {
			err = errors.New("the file became shorter while it was sent")
		}
	}
	if err != nil && err != io.EOF && !errors.Is(err, os.ErrClosed) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

func (s *source) Close() error { return s.body.Close() }

// failure returns the error of reading the body, or nil.
func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
