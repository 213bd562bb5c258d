package httpapi

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/test/rawhttp"
)

// Names of package rawhttp that most tests use.
type (
	client = rawhttp.Client
	answer = rawhttp.Answer
	zeros  = rawhttp.Zeros
)

var (
	length, chunk     = rawhttp.Length, rawhttp.Chunk
	reads, eventually = rawhttp.Reads, rawhttp.Eventually
)

const (
	patience = rawhttp.Patience
	chunked  = rawhttp.Chunked
	noise    = rawhttp.Noise
	atOnce   = rawhttp.AtOnce

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
	rawhttp.Observer
	t      *testing.T
	addr   string
	served chan error // gives what Serve returned
}

// start runs a server until the end of the test, which fails if the server complained of anything.
func start(t *testing.T, changes ...func(*Config)) *testServer {
	t.Helper()
	r, journal := &testServer{t: t, served: make(chan error, 1)}, &rawhttp.Journal{}
	config := Config{Guard: access.NewOpen(auditKey), ReadAhead: 64 << 10, MaxHeader: 32 << 10, HeaderTimeout: 10 * time.Second,
		CORSOrigins: []string{"*"}, Logger: slog.New(journal)}
	for _, change := range changes {
		change(&config)
	}
	ln := rawhttp.Listen(t)
	r.Server = New(config)
	r.Observer = rawhttp.Observer{T: t, Broker: r.broker, Key: keyHere, Journal: journal}
	r.addr = ln.Addr().String()
	go func() { r.served <- r.Serve(ln) }()
	t.Cleanup(r.stop)
	return r
}

// dial connects a client until the end of the test.
func (r *testServer) dial() *client {
	r.t.Helper()
	return rawhttp.Dial(r.t, r.addr)
}

// connect connects a client that the test closes.
func (r *testServer) connect() *client {
	r.t.Helper()
	return rawhttp.Connect(r.t, r.addr)
}

func (r *testServer) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Shutdown(ctx)
	if err := <-r.served; err != nil {
		r.t.Error("Serve: ", err)
	}
	for _, complaint := range r.Journal.Complaints {
		r.t.Error("the server complained: ", complaint)
	}
}

// halfway begins an exchange, of which 5 bytes have arrived.
func (r *testServer) halfway(framing, get string) (producer *client, body io.Reader) {
	r.t.Helper()
	return rawhttp.Halfway(r.t, r.addr, here, framing, get)
}

func maxBody(n int64) func(*Config) { return func(c *Config) { c.MaxBody = n } }

func stallAfter(d time.Duration) func(*Config) { return func(c *Config) { c.StallTimeout = d } }

func silentFor(d time.Duration) func(*Config) { return func(c *Config) { c.SilenceTimeout = d } }
