package proxies

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// Clients that wait, break off and hang up behind a proxy.

// TestProxiesLong waits for longer than the proxies' defaults allow, and once for all of them.
func TestProxiesLong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes over a minute")
	}
	t.Parallel()
	var all sync.WaitGroup
	for _, x := range proxies {
		all.Go(func() {
			t.Run(x.name, func(t *testing.T) {
				p := kit.Start(t, t.TempDir())
				route{p, x, x.start(t, p.URL)}.testLong(t)
			})
		})
	}
	all.Wait()
}

// testLong: whatever can be silent is silent, while one consumer waits for a time that it has chosen.
func (r route) testLong(t *testing.T) {
	const long = "63s" // the default of nginx is 60 s, that of Debian's haproxy.cfg 50 s
	large := largeFile(t)
	consumer := kit.Patient(r.via + "/channels/v1/consumer")
	small := kit.Patient("-w", "%{http_code}", "-d", "small", r.via+"/channels/v1/small")
	big := kit.Patient("-w", "%{http_code}", "-T", large, r.via+"/channels/v1/big")
	paused, feed := io.Pipe()
	producer := kit.Post(t, r.via+"/channels/v1/paused", paused, -1)
	go io.WriteString(feed, "before ")
	resp := kit.Get(t, r.via+"/channels/v1/paused")

	began := time.Now()
	if got := <-kit.Patient("-i", r.via+"/channels/v1/lonely?wait="+long); header(got).Get("Httpipe-Error") != "timed_out" || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("after %v the wait of %s ended with\n%s", time.Since(began), long, got)
	}

	go func() {
		io.WriteString(feed, "after")
		feed.Close()
	}()
	if got, err := io.ReadAll(resp.Body); string(got) != "before after" || err != nil {
		t.Errorf("of a body with a pause came %q, %v", got, err)
	}
	if got := <-producer; got != "200" {
		t.Errorf("the producer that paused got %s", got)
	}
	if got := <-kit.Patient("-d", "hello", r.URL+"/channels/v1/consumer") + <-consumer; got != "hello" {
		t.Errorf("the consumer that waited got %q", got)
	}
	if got := <-kit.Patient(r.URL + "/channels/v1/small?wait=10s"); got != "small" || <-small != "200" {
		t.Errorf("of a small producer that waited came %q", got)
	}
	r.same(t, large, r.URL+"/channels/v1/big?wait=10s")
	if got := <-big; got != "200" {
		t.Errorf("the large producer that waited got %s", got)
	}
}

// testTruncation: a producer is killed in the middle of its body, and the consumer's curl says so.
func (r route) testTruncation(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
	}{
		{"with a length", []string{"-H", "Transfer-Encoding:", "-H", "Content-Length: 1000"}},
		{"chunked", nil},
	} {
		url := r.via + "/channels/v1/truncated"
		producer, feed := open(t, append(test.headers, "-T", "-", url)...)
		io.WriteString(feed, "half")
		consumer, out := reading(t, url)
		half := make([]byte, 4)
		if _, err := io.ReadFull(out, half); err != nil {
			t.Fatal(err)
		}
		producer.Process.Kill()
		rest, _ := io.ReadAll(out)
		err := consumer.Wait()
		switch {
		case string(half)+string(rest) != "half":
			t.Errorf("%s: the consumer got %q", test.name, rest)
		case err == nil && r.losesCut && test.headers == nil:
			t.Logf("known: through this %s half a chunked body looks whole", r.name)
		case err == nil:
			t.Errorf("%s: half a body looks whole", test.name)
		}
	}
	r.WaitForRow(t, "select 1 where (select count(*) from exchanges where channel = 'truncated' and outcome = 'producer_left' and bytes = 4) = 2")
}

// testOld: over HTTP/1.0 a message that is cut off would look whole behind the proxy, so a client may send messages, but not
// receive them.
func (r route) testOld(t *testing.T) {
	for _, args := range [][]string{
		{"/channels/v1/old?wait=0"}, {"/topics/v1/old?wait=0"}, {"/work/v1/old?wait=0"}, {"/services/v1/old?wait=0"}, {"-d", "a", "/services/v1/old/a?wait=0"},
	} {
		url := r.via + args[len(args)-1]
		printed := <-kit.Patient(append([]string{"-i", "--http1.0", "--max-time", "5"}, append(args[:len(args)-1], url)...)...)
		h := header(printed)
		if !strings.HasPrefix(h.Get("Status"), "505 ") || h.Get("Httpipe-Error") != "bad_request" || h.Get("Content-Type") != "text/plain" ||
			!strings.Contains(printed, "\r\n\r\nbad_request: use HTTP/1.1 ") || !strings.HasSuffix(printed, "\n") {
			t.Errorf("curl --http1.0 %v gets\n%s", args, printed)
		}
	}
	consumer := kit.Patient(r.via + "/channels/v1/old")
	if got := <-kit.Patient("--http1.0", "-w", "%{http_code}", "-d", "hello", r.via+"/channels/v1/old"); got != "200" {
		t.Errorf("the producer got %s", got)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	if got := <-kit.Patient("--http1.0", r.via+"/healthz"); got != "ok\n" {
		t.Errorf("of /healthz came %q", got)
	}
}

// testDeadWaiters checks that a client that hangs up while it waits loses its place, and that its message is never complete.
func (r route) testDeadWaiters(t *testing.T) {
	for _, test := range []struct {
		name                 string
		args                 []string
		input                int // bytes of an input that stays open
		producers, consumers string
	}{
		{"a consumer", nil, 0, "0", "1"},
		{"a small producer", []string{"-d", "small"}, 0, "1", "0"},
		{"an open chunked producer", []string{"-T", "-"}, 100_000, "1", "0"},
	} {
		waiter, feed := open(t, append(test.args, r.via+"/channels/v1/dead")...)
		if test.input > 0 {
			feed.Write(make([]byte, test.input))
		}
		r.WaitFor(t, "v1/dead", test.producers, test.consumers)
		waiter.Process.Kill()
		r.WaitFor(t, "v1/dead", "", "")
	}
}

// testDeadLarge: a producer that hangs up with megabytes unread, behind which its FIN cannot be seen, may keep
// its place; but its message never looks whole.
func (r route) testDeadLarge(t *testing.T) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.via, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 100 << 20
	fmt.Fprintf(conn, "PUT /channels/v1/dead-large HTTP/1.1\r\nHost: relay.example.com\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", size)
	r.WaitFor(t, "v1/dead-large", "1", "0")
	for n := 1; n > 0; { // until the kernels' buffers take no more
		conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		if n, err = conn.Write(make([]byte, size)); err == nil {
			t.Fatal("the buffers took everything")
		}
	}
	conn.Close()
	got := <-kit.Patient("-w", "%{http_code}", "-o", "/dev/null", r.via+"/channels/v1/dead-large?wait=2s")
	if !strings.HasSuffix(got, "[exit 18]") && got != "408" {
		t.Errorf("the next consumer got %q", got)
	}
}

// testDeadConsumer: a producer is told of a consumer that died in the middle.
func (r route) testDeadConsumer(t *testing.T) {
	url := r.via + "/channels/v1/unread"
	args := []string{"-i", "-T", largeFile(t), url}
	if r.resetsEarly {
		args = append(args, "-H", "Expect:")
	}
	producer := kit.Patient(args...)
	consumer, out := reading(t, url)
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	consumer.Process.Kill()
	got := strings.TrimPrefix(<-producer, "HTTP/1.1 100 Continue\r\n\r\n")
	if h := header(got); h.Get("Status") != "502 Bad Gateway" || h.Get("Httpipe-Error") != "consumer_left" {
		t.Errorf("the producer got\n%s", got)
	}
}

// testDelete checks that DELETE through the proxy ends waiting requests and running exchanges.
func (r route) testDelete(t *testing.T) {
	url := r.via + "/channels/v1/deleted"
	body, feed := io.Pipe()
	defer feed.Close()
	producer := kit.Post(t, url, body, -1)
	go feed.Write([]byte("half"))
	resp := kit.Get(t, url)
	waiter := kit.Patient("-w", "%{http_code}", url)
	r.WaitFor(t, "v1/deleted", "0", "1")
	if got := <-kit.Patient("-w", "%{http_code}", "-X", "DELETE", url); got != "204" {
		t.Fatalf("DELETE: %s", got)
	}
	if got := <-waiter; got != "410" {
		t.Errorf("the waiter got %q, want an empty 410", got)
	}
	if r.answersLate {
		feed.Close()
	}
	if got := <-producer; got != "410" {
		t.Errorf("the producer got %s", got)
	}
	if got, err := io.ReadAll(resp.Body); err == nil && !r.losesCut {
		t.Errorf("the consumer's body looks whole: %q", got)
	}
}
