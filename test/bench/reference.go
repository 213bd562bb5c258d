//go:build linux

package main

import (
	"cmp"
	"context"
	_ "embed" // for floor/floor.c
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// The reference servers, by their names.
const (
	floor = "floor"
	naive = "naive"
	raw   = "raw TCP"
)

// serveReference is a reference server. It says where it listens in the way httpipe does, and runs until it is killed.
func serveReference(name string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `{"msg":"listening","addr":%q}`+"\n", listener.Addr())
	switch name {
	case naive:
		return http.Serve(listener, &naiveRelay{channels: make(map[string]chan *naiveMessage)})
	case raw:
		return serveRaw(listener)
	}
	return fmt.Errorf("no reference server is called %q", name)
}

//go:embed floor/floor.c
var floorSource []byte

// buildFloor compiles the floor into a directory, and returns the program's path.
func buildFloor(dir string) (string, error) {
	source, program := filepath.Join(dir, "floor.c"), filepath.Join(dir, floor)
	if err := os.WriteFile(source, floorSource, 0o600); err != nil {
		return "", err
	}
	compiler := cmp.Or(os.Getenv("CC"), "cc")
	if out, err := exec.Command(compiler, "-O2", "-o", program, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the floor with %s: %w\n%s", compiler, err, out)
	}
	return program, nil
}

// naiveRelay is the simplest relay: a map of channels, and io.Copy. It forgets no channel, notices no client that leaves
// before the other side has come, and keeps no books.
type naiveRelay struct {
	mu       sync.Mutex
	channels map[string]chan *naiveMessage
}

type naiveMessage struct {
	body   io.Reader
	length int64 // -1 if it is not known
	err    error // set before done is closed
	done   chan struct{}
}

func (n *naiveRelay) channel(path string) chan *naiveMessage {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.channels[path]
	if !ok {
		c = make(chan *naiveMessage)
		n.channels[path] = c
	}
	return c
}

func (n *naiveRelay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	channel := n.channel(r.URL.Path)
	if r.Method == http.MethodPost {
		m := &naiveMessage{body: r.Body, length: r.ContentLength, done: make(chan struct{})}
		if err := m.send(r.Context(), channel); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
		return
	}
	select {
	case m := <-channel:
		w.Header().Set("Content-Type", "application/octet-stream")
		if m.length >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(m.length, 10))
		}
		_, m.err = io.Copy(w, m.body)
		close(m.done)
	case <-r.Context().Done():
	}
}

func (m *naiveMessage) send(ctx context.Context, channel chan<- *naiveMessage) error {
	select {
	case channel <- m:
		<-m.done
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveRaw relays from every first connection to the one after it, without knowing any protocol.
func serveRaw(listener net.Listener) error {
	for {
		in, err := listener.Accept()
		if err != nil {
			return err
		}
		out, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer in.Close()
			defer out.Close()
			buffer := make([]byte, 512<<10)
			for {
				n, err := in.Read(buffer)
				if n > 0 {
					if _, err := out.Write(buffer[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		}()
	}
}
