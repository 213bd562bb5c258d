package proxies

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/test/kit"
)

// These tests run the relay behind each real proxy, as deploy/ configures it.

func TestProxies(t *testing.T) {
	t.Parallel()
	for _, x := range proxies {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			p := kit.Start(t, t.TempDir())
			r := route{p, x, x.start(t, p.URL)}
			for name, test := range map[string]func(*testing.T){
				"access":              r.testAccess,
				"origins":             r.testOrigins,
				"headers":             r.testHeaders,
				"large headers":       r.testLargeHeaders,
				"packed":              r.testPacked,
				"refusals":            r.testRefusals,
				"request":             r.testRequest,
				"streaming":           r.testStreaming,
				"large":               r.testLarge,
				"no retry":            r.testNoRetry,
				"relay down":          r.testRelayDown,
				"truncation":          r.testTruncation,
				"HTTP/1.0":            r.testOld,
				"dead waiters":        r.testDeadWaiters,
				"dead large producer": r.testDeadLarge,
				"dead consumer":       r.testDeadConsumer,
				"delete":              r.testDelete,
				"services":            r.testServices,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t)
				})
			}
		})
	}
}

// testHeaders checks that the proxy does not change the headers of the responses.
func (r route) testHeaders(t *testing.T) {
	exchange := func(base string) (producer, consumer http.Header) {
		const channel = "/channels/v1/a.!$&'()*+,;=:@~-b"
		consumed := make(chan http.Header, 1)
		go func() { consumed <- header(<-kit.Patient("-i", "-H", "Accept-Encoding: gzip", base+channel)) }()
		produced := header(<-kit.Patient("-i", "-H", "Content-Type: text/html", "-H", "Content-Disposition: attachment; filename=x",
			"-d", strings.Repeat("hello ", 1000), base+channel))
		return produced, <-consumed
	}
	producer, consumer := exchange(r.URL)
	viaProducer, viaConsumer := exchange(r.via)
	for _, h := range []http.Header{producer, consumer, viaProducer, viaConsumer} {
		if len(h["Httpipe-Exchange"]) != 1 {
			t.Fatalf("one of the answers is %v", h)
		}
		// These are each connection's, or nginx's, own.
		for _, name := range []string{"Httpipe-Exchange", "Date", "Connection", "Keep-Alive", "Server", "Via", "X-Accel-Buffering"} {
			h.Del(name)
		}
	}
	if !maps.EqualFunc(producer, viaProducer, slices.Equal) || viaProducer.Get("Status") != "200 OK" {
		t.Errorf("a producer gets\n%v\nwithout the proxy it gets\n%v", viaProducer, producer)
	}
	if !maps.EqualFunc(consumer, viaConsumer, slices.Equal) {
		t.Errorf("a consumer gets\n%v\nwithout the proxy it gets\n%v", viaConsumer, consumer)
	}
}

// header parses the header of what curl -i prints; "Status" is the status line's.
func header(printed string) http.Header {
	h := http.Header{}
	head, _, _ := strings.Cut(printed, "\r\n\r\n")
	for i, line := range strings.Split(head, "\r\n") {
		name, value, found := strings.Cut(line, ": ")
		if i == 0 {
			_, value, found = strings.Cut(line, " ")
			name = "Status"
		}
		if found {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	return h
}

// testPacked: what the producer has packed is not unpacked.
func (r route) testPacked(t *testing.T) {
	url := r.via + "/channels/v1/packed"
	packed := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00" // hello
	consumer := kit.Patient(url)
	producer := kit.Post(t, url, strings.NewReader(packed), int64(len(packed)), "Content-Encoding", "gzip")
	if got := <-consumer; got != packed || <-producer != "200" {
		t.Errorf("of a packed message came %q", got)
	}
}

// testRefusals: an error of the relay is the relay's, in status, header and body.
func (r route) testRefusals(t *testing.T) {
	large := largeFile(t)
	for _, test := range []struct {
		name string
		args []string
		want string // status, Httpipe-Error, and what the body must begin with
		body string
	}{
		{"consumer", []string{"/channels/v1/refused?wait=0"}, "408 timed_out", ""},
		{"producer", []string{"-d", "a", "/channels/v1/refused?wait=0"}, "408 timed_out", "timed_out: "},
		{"large producer", []string{"-T", large, "/channels/v1/refused?wait=100ms"}, "408 timed_out", "timed_out: "},
		{"large body without Expect", []string{"-H", "Expect:", "-T", large, "/channels/v1/refused?wait=100ms"}, "408 timed_out", "timed_out: "},
		{"bad name", []string{"/channels/v1/%41"}, "400 bad_name", "bad_name: "},
		{"not found", []string{"/nowhere"}, "404 not_found", "not_found: "},
		{"method", []string{"-X", "PATCH", "/channels/v1/refused"}, "405 method", "method: "},
	} {
		args := append([]string{"-i"}, test.args...)
		args[len(args)-1] = r.via + args[len(args)-1]
		printed := <-kit.Patient(args...)
		if r.lost(args, printed) {
			continue
		}
		printed = strings.TrimPrefix(printed, "HTTP/1.1 100 Continue\r\n\r\n")
		_, body, _ := strings.Cut(printed, "\r\n\r\n")
		h := header(printed)
		status, _, _ := strings.Cut(h.Get("Status"), " ")
		if got := status + " " + h.Get("Httpipe-Error"); got != test.want || !strings.HasPrefix(body, test.body) || test.body == "" && body != "" {
			t.Errorf("%s: %s\n%s", test.name, got, printed)
		}
	}
}

// testRequest checks that the relay gets the request unchanged, with the client's address.
func (r route) testRequest(t *testing.T) {
	requests := make(chan *http.Request, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/healthz" {
			requests <- req
		}
	}))
	defer backend.Close()
	via := r.proxy.start(t, backend.URL)
	<-kit.Patient("-H", "X-Real-IP: 6.6.6.6", "-H", "X-Forwarded-Proto: gopher", "-H", "Accept-Encoding: br", "-H", "Host: relay.example.com", "-d", "a", via+"/channels/v1/%41b;c?wait=1s&b")
	if len(requests) == 0 {
		t.Fatal("the request did not come through")
	}
	got := <-requests
	if addr := got.Header["X-Real-Ip"]; len(addr) != 1 || addr[0] != "127.0.0.1" {
		t.Errorf("X-Real-IP %q", addr)
	}
	if proto := got.Header["X-Forwarded-Proto"]; len(proto) != 1 || proto[0] != "http" {
		t.Errorf("X-Forwarded-Proto %q", proto)
	}
	if id := got.Header["X-Request-Id"]; len(id) != 1 || len(id[0]) < 16 {
		t.Errorf("X-Request-ID %q", id)
	}
	if got.Proto != "HTTP/1.1" || got.Host != "relay.example.com" || got.RequestURI != "/channels/v1/%41b;c?wait=1s&b" || got.Header.Get("Accept-Encoding") != "br" {
		t.Errorf("%s %s of %s, %v", got.Proto, got.RequestURI, got.Host, got.Header)
	}
}

// testStreaming: each byte is through before the next is sent.
func (r route) testStreaming(t *testing.T) {
	const size = 30
	for _, length := range []int64{-1, size} {
		url := fmt.Sprintf("%s/channels/v1/bytes%d", r.via, length)
		began := time.Now()
		body, feed := io.Pipe()
		producer := kit.Post(t, url, body, length)
		go feed.Write([]byte{0})
		resp := kit.Get(t, url)
		for i := range byte(size) {
			if i > 0 {
				go feed.Write([]byte{i})
			}
			var one [1]byte
			if _, err := io.ReadFull(resp.Body, one[:]); err != nil || one[0] != i {
				t.Fatalf("length %d: byte %d is %d, %v", length, i, one[0], err)
			}
		}
		feed.Close()
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("length %d: then came %q, %v", length, rest, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("length %d: bytes were held back, for %v in all", length, took)
		}
		if got := <-producer; got != "200" {
			t.Errorf("length %d: the producer got %s", length, got)
		}
	}
}

// testLarge: 20 MB come whole, whether they have a length or not. curl asks for 100 Continue, and
// would wait for it for ten minutes.
func (r route) testLarge(t *testing.T) {
	file := largeFile(t)
	for _, args := range [][]string{{}, {"-H", "Transfer-Encoding: chunked"}} {
		url := r.via + "/channels/v1/large"
		producer := kit.Patient(append(args, "-w", "%{http_code}", "--expect100-timeout", "600", "-T", file, url)...)
		r.WaitFor(t, "v1/large", "1", "0")
		r.same(t, file, url)
		if got := <-producer; got != "200" {
			t.Errorf("%v: the producer got %s", args, got)
		}
	}
}

// same consumes, and requires a file's content.
func (r route) same(t *testing.T, path, url string) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := <-kit.Patient(url)
	if got != string(want) {
		t.Errorf("%d bytes came of %d, ending with %q", len(got), len(want), got[max(0, len(got)-100):])
	}
}

// testNoRetry: a request whose connection to the relay is lost is not sent again, in particular not a
// GET on a connection that has carried another before, which HTTP libraries like to repeat.
func (r route) testNoRetry(t *testing.T) {
	var lost atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/lost" {
			lost.Add(1)
			panic(http.ErrAbortHandler)
		}
	}))
	defer backend.Close()
	via := r.proxy.start(t, backend.URL)
	for _, args := range [][]string{{}, {"-d", "a"}} {
		lost.Store(0)
		<-kit.Patient(append(args, via+"/kept")...)
		got := <-kit.Patient(append(args, "-o", "/dev/null", "-w", "%{http_code}", via+"/lost")...)
		if !strings.HasPrefix(got, "50") || lost.Load() != 1 {
			t.Errorf("curl %v got %q, after the relay had been asked %d times", args, got, lost.Load())
		}
	}
}

// testRelayDown: the proxy's own error is no success.
func (r route) testRelayDown(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	via := r.proxy.start(t, p.URL)
	p.Stop(t)
	for _, args := range [][]string{{}, {"-d", "a"}} {
		got := <-kit.Patient(append(args, "-f", "-o", "/dev/null", "-w", "%{http_code}", via+"/channels/v1/a")...)
		if !strings.Contains(got, "50") || !strings.Contains(got, "[exit 22]") {
			t.Errorf("without a relay curl %v printed %q", args, got)
		}
	}
}
