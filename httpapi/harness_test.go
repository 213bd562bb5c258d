package httpapi

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/pipe"
)

const (
	// patience is how long a test waits for what must happen at all. What must happen within a certain time
	// is measured.
	patience = 30 * time.Second
	// noise is how much longer something may take where the machine is busy with other things.
	noise = 3 * time.Second
	// atOnce is how soon a client's leaving is noticed where the kernel tells.
	atOnce = 300 * time.Millisecond

	here = "/channels/n/c" // where clients go unless told otherwise

	auditKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"        // of a server without a secret
	withKey  = "Authorization: Bearer " + auditKey // a header
)

var keyHere = pipe.Key{Namespace: "n", Channel: "c"}

// TestMain lets more of the parallel tests run at once than there are processors: they are parallel because
// they wait for a clock.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

// A testServer is a Server on a port of its own.
type testServer struct {
	*Server
	t       *testing.T
	addr    string
	journal *journal
	served  chan error // gives what Serve returned
}

// start runs a server until the end of the test, which fails if the server complained of anything.
func start(t *testing.T, changes ...func(*Config)) *testServer {
	t.Helper()
	r := &testServer{t: t, journal: &journal{}, served: make(chan error, 1)}
	config := Config{Guard: access.NewOpen(auditKey), ReadAhead: 64 << 10, MaxHeader: 32 << 10, HeaderTimeout: 10 * time.Second,
		CORSOrigins: []string{"*"}, Logger: slog.New(r.journal)}
	for _, change := range changes {
		change(&config)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if r.Server, err = New(config); err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	go func() { r.served <- r.Serve(ln) }()
	t.Cleanup(r.stop)
	return r
}

func (r *testServer) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Shutdown(ctx)
	if err := <-r.served; err != nil {
		r.t.Error("Serve: ", err)
	}
	for _, complaint := range r.journal.complaints {
		r.t.Error("the server complained: ", complaint)
	}
}

// eventually waits until something is so, and fails the test if it is not soon enough.
func eventually(t *testing.T, soon time.Duration, what string, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("%s: not after %v", what, soon)
		}
	}
}

// waiting waits until so many producers and consumers wait on the channel here.
func (r *testServer) waiting(producers, consumers int) {
	r.t.Helper()
	r.waitingWithin(patience, producers, consumers)
}

func (r *testServer) waitingWithin(soon time.Duration, producers, consumers int) {
	r.t.Helper()
	eventually(r.t, soon, fmt.Sprintf("%d producers and %d consumers wait", producers, consumers), func() bool {
		p, c, _ := r.broker.Look(keyHere)
		return p == producers && c == consumers
	})
}

// vanished waits until no channel is left.
func (r *testServer) vanished() {
	r.t.Helper()
	eventually(r.t, patience, "no channel is left", func() bool { return len(r.broker.Namespaces()) == 0 })
}

// ended waits for the end of the next exchange, which must be o.
func (r *testServer) ended(o pipe.Outcome) {
	r.t.Helper()
	var got string
	eventually(r.t, patience, "an exchange ends", func() bool {
		got = r.journal.next()
		return got != ""
	})
	if got != string(o) {
		r.t.Errorf("the exchange ended as %s, want %s", got, o)
	}
}

// A journal is the server's logger: it keeps how exchanges ended, and all complaints.
type journal struct {
	mu         sync.Mutex
	outcomes   []string
	complaints []string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, record slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if record.Message != "exchange ended" {
		j.complaints = append(j.complaints, record.Message)
		return nil
	}
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "outcome" {
			j.outcomes = append(j.outcomes, a.Value.String())
		}
		return true
	})
	return nil
}

// next takes the oldest outcome, "" if there is none.
func (j *journal) next() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.outcomes) == 0 {
		return ""
	}
	o := j.outcomes[0]
	j.outcomes = j.outcomes[1:]
	return o
}
