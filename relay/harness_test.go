package relay

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/test/rawhttp"
)

// Names of package rawhttp that most tests use.
type (
	client = rawhttp.Client
	answer = rawhttp.Answer
	zeros  = rawhttp.Zeros
)

var (
	length, chunk = rawhttp.Length, rawhttp.Chunk
	reads         = rawhttp.Reads
)

const (
	patience = rawhttp.Patience
	chunked  = rawhttp.Chunked
	noise    = rawhttp.Noise
	atOnce   = rawhttp.AtOnce

	// spliced is the framing of a body that is so large that its bytes are spliced, except for the last.
	spliced = "Content-Length: 10485760"

	here = "/channels/n/c" // the path that clients use unless a test needs another

	browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
)

var keyHere = pipe.Key{Namespace: "n", Channel: "c"}

// TestMain lets more parallel tests run at once than there are processors: they are parallel because they wait for a
// clock.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

// settings are what a test can change.
type settings struct {
	Config
	broker pipe.Config
}

// A testServer is a relay on a port of its own, with just enough of a server around it: package httpapi is not needed.
type testServer struct {
	rawhttp.Observer
	t      *testing.T
	addr   string
	broker *pipe.Broker
	relay  *Relay
	http   *http.Server
	served chan error                          // gives what Serve returned
	own    func(http.ResponseWriter, *Request) // answers requests to a channel named own; nil: as all others
}

// start runs a server until the end of the test, which fails if the server has logged anything but ends of exchanges.
func start(t *testing.T, changes ...func(*settings)) *testServer {
	t.Helper()
	s, journal := &testServer{t: t, served: make(chan error, 1)}, &rawhttp.Journal{}
	set := settings{
		Config: Config{ReadAhead: 64 << 10, MaxHeader: 32 << 10, HeaderTimeout: 10 * time.Second,
			Unavailable: func() *reply.Error { return nil }, Logger: slog.New(journal)},
		broker: pipe.Config{NewID: func() string { return uuid.Must(uuid.NewV7()).String() }},
	}
	for _, change := range changes {
		change(&set)
	}
	s.broker = pipe.New(set.broker)
	s.Observer = rawhttp.Observer{T: t, Broker: s.broker, Key: keyHere, Journal: journal}
	set.Config.Handler = s.serve
	s.relay = New(set.Config, s.broker)
	ln := rawhttp.Listen(t)
	s.addr = ln.Addr().String()
	s.http = &http.Server{Handler: BreakOff(s), ConnContext: ConnContext, ConnState: NoteState}
	go s.http.Serve(s.relay.Others())
	go func() { s.served <- s.relay.Serve(ln) }()
	t.Cleanup(s.stop)
	return s
}

// ServeHTTP implements http.Handler.
func (s *testServer) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	s.serve(w, NewRequest(hr))
}

func (s *testServer) serve(w http.ResponseWriter, r *Request) {
	path := strings.Split(r.Path, "/")
	r.Key = pipe.Key{Namespace: path[2], Channel: path[3]}
	r.Client.Addr, r.Group = r.Conn.Addr, r.Conn.Addr
	if path[1] == "topics" {
		r.Shape = pipe.Topic
		if r.Method == http.MethodGet {
			s.relay.Subscribe(w, r)
		} else {
			s.relay.Publish(w, r)
		}
		return
	}
	if s.own != nil && r.Key.Channel == "own" {
		s.own(w, r)
		return
	}
	notFound := &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "no channel"}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		s.relay.Produce(w, r)
	case http.MethodGet:
		if r.Posts {
			s.relay.Produce(w, r)
			return
		}
		s.relay.Consume(w, r)
	case http.MethodHead:
		producers, consumers, ok := s.broker.Look(r.Key)
		if !ok {
			r.Fail(w, notFound)
			return
		}
		w.Header().Set(reply.HeaderProducers, strconv.Itoa(producers))
		w.Header().Set(reply.HeaderConsumers, strconv.Itoa(consumers))
	case http.MethodDelete:
		if !s.broker.Delete(r.Key) {
			r.Fail(w, notFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *testServer) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.broker.Shutdown(ctx)
	s.http.Close()
	ctx, cancel = context.WithTimeout(context.Background(), noise)
	defer cancel()
	s.relay.Shutdown(ctx)
	if err := <-s.served; err != nil {
		s.t.Error("Serve: ", err)
	}
	for _, complaint := range s.Journal.Complaints {
		s.t.Error("the server logged: ", complaint)
	}
}

// dial connects a client until the end of the test.
func (s *testServer) dial() *client {
	s.t.Helper()
	return rawhttp.Dial(s.t, s.addr)
}

// halfway begins an exchange, of which 5 bytes have arrived.
func (s *testServer) halfway(framing, get string) (producer *client, body io.Reader) {
	s.t.Helper()
	return rawhttp.Halfway(s.t, s.addr, here, framing, get)
}

func maxBody(n int64) func(*settings) { return func(c *settings) { c.MaxBody = n } }

func stallAfter(d time.Duration) func(*settings) { return func(c *settings) { c.StallTimeout = d } }

func silentFor(d time.Duration) func(*settings) {
	return func(c *settings) { c.broker.SilenceTimeout = d }
}
