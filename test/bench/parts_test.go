//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a reference server, as the program is its own.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "--reference" {
		fmt.Fprintln(os.Stderr, serveReference(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestParts runs each part with little effort, against the real binary: every figure has to be there.
func TestParts(t *testing.T) {
	temp := t.TempDir()
	variants, err := relays(options{}, temp)
	if err != nil {
		t.Fatal(err)
	}
	floor, err := buildFloor(temp)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{temp: temp, floor: floor, relays: variants, progress: io.Discard, effort: effort{
		rounds: 1, turn: 5 * time.Millisecond, paced: 50 * time.Millisecond, sustained: 50 * time.Millisecond,
		megabytes: 16, memoryRounds: 1, waiters: 100,
	}}
	var printed strings.Builder
	if err := b.run(allParts, &printed); err != nil {
		t.Error(err)
	}
	s, err := variants[0].start(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	snapshot, err := s.underSnapshot(60 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.write(&printed)
	for _, want := range []struct {
		row   string
		cells int
	}{
		{"1 channel, 5 B", 9}, {"1000 channels, 5 B", 9}, {"64 at a time, each on a new channel, 5 B", 9},
		{"idle, p50", 9}, {"half load, p99", 9},
		{"1 stream, with a length", 12}, {"16 streams, chunked", 12},
		{"producer with 5 B", 6}, {"consumer", 6},
		{"new, or none", 3},
		{"exchanges/s", 1}, {"largest WAL, in MB", 1}, {"the log's bytes per exchange", 1},
		{"processor time of the server per delivery, in µs", 6}, {"memory of an idle subscriber, in KB", 6},
		{"the former ÷ the latter", 3}, {"calls ÷ exchanges", 3},
		{"durable log, processor time per exchange, 16 channels", 3},
		{"the same, slowest, in ms", 3}, {"WAL at the end, in MB", 3},
	} {
		_, row, found := strings.Cut(printed.String(), "| "+want.row+" |")
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Count(row, "|")
		incomplete := strings.Contains(row, "–") && !strings.Contains(want.row, "new channel") && !strings.Contains(want.row, "chunked") && !strings.Contains(want.row, "subscriber")
		if !found || cells != want.cells || incomplete || strings.Contains(row, "not measured") {
			t.Errorf("%s: %q, want %d figures", want.row, row, want.cells)
		}
	}
	if t.Failed() {
		t.Log(printed.String())
	}
}

// addrOf returns where a handler listens.
func addrOf(t *testing.T, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).AddrPort()
}

// TestWrongAnswers checks that the load generator reports wrong messages and answers.
func TestWrongAnswers(t *testing.T) {
	for _, test := range []struct {
		name, want string
		serve      http.HandlerFunc
	}{
		{"another message", `got "jello"`, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				io.WriteString(w, "jello")
			}
		}},
		{"an old message", "got", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				io.WriteString(w, "00001")
			}
		}},
		{"no delivery", "503", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{"half a message", "closed the connection", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "he")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := newFleet(addrOf(t, test.serve), load{pairs: 1, size: 5})
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			if _, err := f.run(time.Second, 0, false); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the run ended with %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestPaced checks that exchanges begin at the given rate, and that the times include a slow server's delay.
func TestPaced(t *testing.T) {
	const pause = 5 * time.Millisecond
	relay := &naiveRelay{channels: make(map[string]chan *naiveMessage)}
	f, err := newFleet(addrOf(t, func(w http.ResponseWriter, r *http.Request) {
		relay.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			time.Sleep(pause)
		}
	}), load{pairs: 8, size: 5, fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	seen, err := f.run(200*time.Millisecond, 100, true)
	if err != nil {
		t.Fatal(err)
	}
	if seen.exchanges < 20 || seen.exchanges > 20+8 {
		t.Errorf("%d exchanges in 200 ms at 100 per second, of 8 pairs that wait at the end", seen.exchanges)
	}
	if n := seen.exchanges; len(seen.handOver) != n || len(seen.acknowledged) != n || len(seen.committed) != n {
		t.Errorf("%d exchanges, but %d, %d and %d times", n, len(seen.handOver), len(seen.acknowledged), len(seen.committed))
	}
	for i := range seen.acknowledged {
		if seen.acknowledged[i] < pause {
			t.Errorf("a producer that had to wait %v was acknowledged after %v", pause, seen.acknowledged[i])
		}
	}
}

func TestCheckPattern(t *testing.T) {
	twice := string(pattern()) + string(pattern())
	if size, err := checkPattern(strings.NewReader(twice)); size != len(twice) || err != nil {
		t.Errorf("the pattern: %d, %v", size, err)
	}
	repeated := twice[:64<<10] + twice[:64<<10]
	if _, err := checkPattern(strings.NewReader(repeated)); err == nil {
		t.Error("a part that came twice was not noticed")
	}
}

// startFloor starts the floor for a test.
func startFloor(t *testing.T) *server {
	t.Helper()
	temp := t.TempDir()
	program, err := buildFloor(temp)
	if err != nil {
		t.Fatal(err)
	}
	s, err := variant{name: floor, command: []string{program}, kind: aReference}.start(temp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

func TestFloor(t *testing.T) {
	s := startFloor(t)
	f, err := newFleet(s.addr, load{pairs: 8, size: 4096, fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if seen, err := f.run(20*time.Millisecond, 0, true); err != nil || seen.exchanges < 8 {
		t.Errorf("exchanges: %+v, %v", seen, err)
	}
	if err := (flow{"streams", 4, false}).through(s, 3); err != nil {
		t.Errorf("streams: %v", err)
	}
	c, err := newCrowd(s.addr, 20)
	defer c.close()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if p, err := c.publish(); err != nil || p.last <= 0 || p.acknowledged <= 0 {
			t.Errorf("a publication: %+v, %v", p, err)
		}
	}
}

// TestCrowdFinds checks that the load generator for topics reports what a subscriber should not get.
func TestCrowdFinds(t *testing.T) {
	for name, test := range map[string]struct{ came, want string }{
		"another message":       {"\ndata: jello\n\n\ndata: hello\n\n", "wanted only"},
		"a message twice":       {"\ndata: hello\n\n\ndata: hello\n\n", "wanted only"},
		"the end of the stream": {"\ndata: hel", "closed the stream"},
	} {
		t.Run(name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			s := subscriber{connection: connection{fd: fds[0]}}
			defer s.close()
			unix.Write(fds[1], []byte(test.came))
			unix.Close(fds[1])
			buffer := make([]byte, 100)
			got, err := s.receive(buffer, []byte("\ndata: hello\n\n"))
			if err == nil && !got {
				_, err = s.receive(buffer, []byte("\ndata: hello\n\n"))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %v, want %q", test.came, err, test.want)
			}
		})
	}
}
