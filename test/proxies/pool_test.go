package proxies

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// pooled are the proxies with another configuration than deploy/ has: they keep connections to the relay, and send any
// client's next request on any of them.
var pooled = map[string][]string{ // replacements in the configuration
	"nginx": {"server {\n", "upstream pool {\n\tserver {relay};\n\tkeepalive 50;\n}\nserver {\n",
		"proxy_pass http://127.0.0.1:3000;", "proxy_pass http://pool;\nproxy_set_header Connection \"\";"},
	"caddy":   {"keepalive off", "keepalive 60s\nkeepalive_idle_conns_per_host 50"},
	"haproxy": {"\tserver httpipe 127.0.0.1:3000", "\thttp-reuse always\n\tserver httpipe {relay} pool-max-conn 50"},
}

var poolRequests = flag.Int("requests", 1_500, "how many requests TestPools sends through each proxy")

// TestPools sends many requests of all kinds, 50 at a time, through each proxy with a pool. Each request has a name of its
// own, so an answer to another request is seen.
func TestPools(t *testing.T) {
	t.Parallel()
	for _, x := range proxies {
		t.Run(x.name, func(t *testing.T) {
			kit.NeedTool(t, x.name)
			s := kit.Start(t, t.TempDir())
			counted, connections := kit.Counted(t, s.URL)
			l := &poolLoad{t: t, via: x.startWith(t, counted, pooled[x.name]...), losesCut: x.losesCut}
			l.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
			defer l.client.CloseIdleConnections()
			l.run(50, *poolRequests)
			if n := connections.Load(); n > int64(*poolRequests)/5 {
				t.Errorf("%s made %d connections: it does not keep them", x.name, n)
			} else {
				t.Logf("%d requests on %d connections", l.requests, n)
			}
			l.compare(s)
		})
	}
}

// A poolLoad is a number of clients that send requests of all kinds.
type poolLoad struct {
	t        *testing.T
	via      string // the proxy's URL
	losesCut bool
	client   http.Client

	mu        sync.Mutex // guards the rest
	requests  int
	delivered int
	called    int
}

// run sends so many requests, and so many at a time.
func (l *poolLoad) run(clients, requests int) {
	var wg sync.WaitGroup
	for i := range clients {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for n := 0; l.count() < requests && !l.t.Failed(); n++ {
				l.step(rng, fmt.Sprintf("%d-%d", i, n))
			}
		})
	}
	wg.Wait()
}

func (l *poolLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// compare compares what the clients have got with the audit log.
func (l *poolLoad) compare(s *kit.Server) {
	s.Stop(l.t)
	const query = `select count(*), count(distinct channel) from exchanges where outcome = 'delivered' and shape = 'channel'
		union all select count(*), count(distinct service) from calls where outcome = 'answered'`
	if got, want := s.SQLite(l.t, query), fmt.Sprintf("%d|%[1]d\n%d|%[2]d", l.delivered, l.called); got != want {
		l.t.Errorf("exchanges and channels delivered, calls and services answered:\n%s, want\n%s", got, want)
	}
}

// step sends one request, or one of each kind that go together. name is its own.
func (l *poolLoad) step(rng *rand.Rand, name string) {
	channel := "/channels/pool/" + name
	switch rng.IntN(14) {
	case 0, 1, 2, 3:
		l.exchange(rng, channel, name)
	case 4:
		l.is(l.do("GET", channel+"?wait=0", nil), 408, "timed_out", "")
	case 5:
		l.is(l.do("POST", channel+"?wait=0", strings.NewReader(name)), 408, "timed_out", "no partner")
	case 6:
		l.is(l.do("GET", "/channels/none-"+name, nil), 404, "not_found", "none-"+name)
	case 7:
		l.is(l.do("GET", channel+"?wait=x"+name, nil), 400, "bad_wait", "x"+name)
	case 8:
		l.is(l.do("HEAD", channel, nil), 404, "not_found", "")
	case 9:
		l.is(l.do("DELETE", channel, nil), 404, "not_found", "")
	case 10:
		l.is(l.do("GET", "/healthz", nil), 200, "", "")
		l.is(l.do("PATCH", channel, nil), 405, "method", "")
	case 11:
		if rng.IntN(2) == 0 {
			l.leave(channel)
		} else if !l.losesCut {
			l.cut(channel)
		}
	case 12:
		published := l.do("POST", "/topics/pool/"+name, strings.NewReader(name))
		l.is(published, 200, "", "")
		if got := published.header.Get("Httpipe-Subscribers"); got != "0" {
			l.t.Errorf("%s: a topic without subscribers had %q", name, got)
		}
	case 13:
		l.call(name)
	}
}

// An answer is a response that was read, or the error instead of one.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// do sends a request by way of the proxy. A body of unknown length is sent in chunks.
func (l *poolLoad) do(method, path string, body io.Reader) answer {
	return l.doWithin(kit.Patience, method, path, body)
}

func (l *poolLoad) doWithin(limit time.Duration, method, path string, body io.Reader) answer {
	l.mu.Lock()
	l.requests++
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, l.via+path, body)
	if err != nil {
		return answer{err: err}
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// is requires an answer with this status and code, and with the text part of it.
func (l *poolLoad) is(a answer, status int, code, part string) {
	l.t.Helper()
	if a.err != nil || a.status != status || a.header.Get("Httpipe-Error") != code || !strings.Contains(a.body, part) {
		l.t.Errorf("%d %q %q %v, want %d %q with %q", a.status, a.header.Get("Httpipe-Error"), a.body, a.err, status, code, part)
	}
}

// exchange sends a message, of which the name is a part, and requires that it arrives.
func (l *poolLoad) exchange(rng *rand.Rand, channel, name string) {
	message := bytes.Repeat([]byte(name+" "), 1+rng.IntN(1+rng.IntN(20_000)))
	var body io.Reader = bytes.NewReader(message)
	if rng.IntN(2) == 0 {
		body = io.MultiReader(body)
	}
	produced := make(chan answer, 1)
	go func() { produced <- l.do("POST", channel, body) }()
	consumed := l.do("GET", channel, nil)
	p := <-produced
	if consumed.err != nil || consumed.status != 200 || consumed.body != string(message) {
		l.t.Errorf("%s: %d bytes of %.40q, %v, want %d of %.40q", channel, len(consumed.body), consumed.body, consumed.err, len(message), message)
	}
	if p.err != nil || p.status != 200 || p.body != "" {
		l.t.Errorf("%s: the producer gets %d %q, %v", channel, p.status, p.body, p.err)
	}
	id, other := consumed.header.Get("Httpipe-Exchange"), p.header.Get("Httpipe-Exchange")
	if id == "" || id != other {
		l.t.Errorf("%s: the exchanges are %q and %q", channel, id, other)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered++
}

// call has a worker answer a caller.
func (l *poolLoad) call(name string) {
	called := make(chan answer, 1)
	go func() {
		called <- l.do("POST", "/services/pool/"+name+"/path?"+name, strings.NewReader("question "+name))
	}()
	work := l.do("GET", "/work/pool/"+name, nil)
	l.is(work, 200, "", "question "+name)
	if got, want := work.header.Get("Httpipe-Target"), "/path?"+name; got != want {
		l.t.Errorf("the worker of %s is asked for %q, want %q", name, got, want)
	}
	l.is(l.do("POST", work.header.Get("Httpipe-Reply"), strings.NewReader("answer "+name)), 200, "", "")
	l.is(<-called, 200, "", "answer "+name)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.called++
}

// leave sends a consumer that hangs up while it waits.
func (l *poolLoad) leave(channel string) {
	if a := l.doWithin(5*time.Millisecond, "GET", channel, nil); a.err == nil {
		l.t.Errorf("%s: a consumer without a producer gets %d %q", channel, a.status, a.body)
	}
}

// cut sends a producer that leaves in the middle of its body. Its consumer must not take the message for whole.
func (l *poolLoad) cut(channel string) {
	body, feed := io.Pipe()
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "POST", l.via+channel, body)
	if err != nil {
		l.t.Error(err)
		return
	}
	produced := make(chan error, 1)
	go func() {
		resp, err := l.client.Do(req)
		if err == nil {
			resp.Body.Close()
			err = fmt.Errorf("it gets %d", resp.StatusCode)
		}
		produced <- cmp.Or(err, io.EOF)
	}()
	go func() {
		io.WriteString(feed, "half")
		feed.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if a := l.do("GET", channel+"?wait=100ms", nil); a.err == nil && a.status == 200 {
		l.t.Errorf("%s: half a message looks whole", channel)
	}
	leave()
	<-produced
}
