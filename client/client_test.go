package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/reply"
)

// A script is a relay that gives its answers one after the other, and repeats the last one.
type script struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // "POST text/plain "message" 50ms", in the order of their arrival
	answers  []answer
}

type answer func(w http.ResponseWriter, r *http.Request)

// says is an answer with a status and an Httpipe-Error.
func says(status int, code string, more ...string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(more); i += 2 {
			w.Header().Set(more[i], more[i+1])
		}
		w.Header().Set(reply.HeaderError, code)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"title":"x","status":%d,"detail":"what to do","code":%q}`, status, code)
	}
}

// delivered is the answer to a producer, or a message for a consumer.
func delivered(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(reply.HeaderExchange, "x1")
	if r.Method == http.MethodGet {
		io.WriteString(w, "hello")
		return
	}
	io.WriteString(w, `{"exchange":"x1","outcome":"delivered","bytes":5}`)
}

// half is a message that breaks in the middle.
func half(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(reply.HeaderExchange, "x0")
	io.WriteString(w, "hel")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// gone is a relay that crashes before it answers.
func gone(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func startScript(t *testing.T, answers ...answer) (*script, Address) {
	t.Helper()
	s := &script{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, fmt.Sprintf("%s %s %q", r.Method, r.Header.Get("Content-Type"), body))
		next := s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		s.mu.Unlock()
		next(w, r)
	}))
	t.Cleanup(s.Close)
	a, err := ParseAddress(s.URL+"/channels/demo/hello", Channel)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// fast returns a client whose pauses are short, and the list of failures after which it tries again.
func fast() (c *Client, retried *[]string) {
	c = New("httpipe/test")
	c.pace = pace{pause: time.Millisecond, maxPause: 4 * time.Millisecond, quiet: 50 * time.Millisecond, probe: 50 * time.Millisecond}
	retried = new([]string)
	c.Notice = func(r Retry) { *retried = append(*retried, r.Failure.Outcome) }
	return c, retried
}

func text(body string) Message { return Stream(strings.NewReader(body)) }

// TestSend: what is sent again, after which answers, and how the transfer ends.
func TestSend(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []answer
		want    string // of the transfer's end
		class   Class
		retried string
		sent    int // requests with the message
	}{
		{"at once", []answer{delivered}, "", 0, "", 1},
		{"in rounds", []answer{says(408, "timed_out"), says(408, "timed_out"), delivered}, "", 0, "", 3},
		{"after failures", []answer{says(502, "consumer_left", reply.HeaderExchange, "x"), says(503, "shut_down", "Retry-After", "0"), says(429, "refused"), gone, delivered},
			"", 0, "[consumer_left shut_down refused unanswered]", 5},
		{"through a proxy's errors", []answer{says(504, ""), says(522, ""), delivered}, "", 0, "[not_a_relay not_a_relay]", 3},
		{"failures in a row", []answer{says(502, "consumer_left", reply.HeaderExchange, "x")}, "consumer_left: what to do", Failed, "[consumer_left consumer_left]", 3},
		{"a wait between failures", []answer{says(503, "refused"), says(503, "refused"), says(408, "timed_out"), says(503, "refused"), says(503, "refused"), delivered},
			"", 0, "[refused refused refused refused]", 6},
		{"no log", []answer{says(503, "audit_unavailable")}, "audit_unavailable: what to do", Unavailable, "[audit_unavailable audit_unavailable]", 3},
		{"deleted", []answer{says(410, "deleted")}, "deleted: what to do", Deleted, "", 1},
		{"no token", []answer{says(401, "unauthorized")}, "unauthorized: what to do", Rejected, "", 1},
		{"too large", []answer{says(413, "too_large")}, "too_large: what to do", Rejected, "", 1},
		{"too large after its beginning", []answer{says(413, "too_large", reply.HeaderExchange, "x")}, "too_large: what to do", Failed, "", 1},
		{"another server", []answer{func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "welcome") }},
			"not_a_relay: the server answers 200 OK, but not as a relay does; check the URL", Rejected, "", 1},
		{"a redirect", []answer{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusTemporaryRedirect)
		}},
			"not_a_relay: the server answers 307 Temporary Redirect and redirects to https://elsewhere/; use the URL there", Rejected, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, to := startScript(t, test.answers...)
			c, retried := fast()
			c.Retries = 2
			if test.name == "after failures" {
				c.Retries = 4
			}
			receipt, err := c.Send(t.Context(), to, text("hello"))
			got := ""
			if f, ok := errors.AsType[*Failure](err); ok {
				got = f.Error()
				if f.Class() != test.class {
					t.Errorf("class %d, want %d", f.Class(), test.class)
				}
			} else if err != nil || receipt.Exchange != "x1" || receipt.Bytes != 5 {
				t.Errorf("receipt %+v, %v", receipt, err)
			}
			again := ""
			if len(*retried) > 0 {
				again = fmt.Sprint(*retried)
			}
			if got != test.want || again != test.retried || len(s.requests) != test.sent {
				t.Errorf("ended by %q after the retries %s and %d requests, want %q, %s, %d", got, again, len(s.requests), test.want, test.retried, test.sent)
			}
			for _, r := range s.requests {
				if r != `POST application/octet-stream "hello"` {
					t.Errorf("request %s", r)
				}
			}
		})
	}
}

// TestSendKeepsItsWait: the limit of a wait ends the rounds, and 0 makes one that does not wait.
func TestSendKeepsItsWait(t *testing.T) {
	for _, wait := range []time.Duration{0, 120 * time.Millisecond} {
		var asked []time.Duration
		_, to := startScript(t, func(w http.ResponseWriter, r *http.Request) {
			d, err := time.ParseDuration(r.URL.Query().Get("wait"))
			if err != nil {
				t.Error(err)
			}
			asked = append(asked, d)
			time.Sleep(d)
			says(408, "timed_out")(w, r)
		})
		c, _ := fast()
		c.Wait, c.Round = wait, 50*time.Millisecond
		begun := time.Now()
		_, err := c.Send(t.Context(), to, text("hello"))
		if f, ok := errors.AsType[*Failure](err); !ok || f.Class() != TimedOut || time.Since(begun) < wait {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if len(asked) == 0 || asked[0] != min(wait, c.Round) || slices.Max(asked) > c.Round || wait == 0 && len(asked) > 1 {
			t.Errorf("of %s it asked for the rounds %s", wait, asked)
		}
	}
}

// TestSendFile: the name, the type and the content of a file arrive; one that becomes shorter is an error here.
func TestSendFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "naïve.txt")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var head http.Header
	var length int64
	s, to := startScript(t, says(503, "refused"), func(w http.ResponseWriter, r *http.Request) {
		head, length = r.Header, r.ContentLength
		delivered(w, r)
	})
	c, _ := fast()
	c.Token = "hunter2"
	m, err := FileMessage(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), to, m); err != nil {
		t.Fatal(err)
	}
	if want := `POST text/plain; charset=utf-8 "hello"`; len(s.requests) != 2 || s.requests[0] != want || s.requests[1] != want || length != 5 {
		t.Errorf("requests %s of %d bytes", s.requests, length)
	}
	if got := head.Get("Content-Disposition"); got != "attachment; filename*=utf-8''na%C3%AFve.txt" {
		t.Errorf("Content-Disposition: %s", got)
	}
	if head.Get("Authorization") != "Bearer hunter2" || head.Get("User-Agent") != "httpipe/test" {
		t.Errorf("headers %v", head)
	}

	if err := os.Truncate(path, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), to, m); err == nil || err.Error() != "the file became shorter while it was sent" {
		t.Errorf("of a file that became shorter: %v", err)
	}
	directory, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	if _, err := FileMessage(directory); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
}

// TestSendOfASpentStream: a stream of which too much was read is not sent again, and the user learns why.
func TestSendOfASpentStream(t *testing.T) {
	s, to := startScript(t, says(502, "consumer_left", reply.HeaderExchange, "x"))
	c, _ := fast()
	_, err := c.Send(t.Context(), to, Stream(io.LimitReader(zeros{}, replayLimit+1)))
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Outcome != "consumer_left" || !strings.Contains(f.Text, "send a file instead") || len(s.requests) != 1 {
		t.Errorf("%v after %d requests", err, len(s.requests))
	}
}

// TestUnreachable: without a server nothing was sent, and the error says where there is none.
func TestUnreachable(t *testing.T) {
	s, to := startScript(t, delivered)
	s.Close()
	c, retried := fast()
	_, err := c.Send(t.Context(), to, text("hello"))
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Class() != Unavailable || !strings.Contains(f.Text, "cannot connect to 127.0.0.1:") || len(*retried) != DefaultRetries {
		t.Errorf("%v after %v", err, *retried)
	}
}

// receiveText returns what a client receives, and what it was told that is not the whole.
func receiveText(c *Client, from Address) (whole string, parts []string, err error) {
	err = c.Receive(context.Background(), from, func(m *Incoming) error {
		body, err := io.ReadAll(m.Body)
		if err != nil {
			parts = append(parts, string(body))
			return err
		}
		whole = string(body)
		return nil
	})
	return whole, parts, err
}

// TestReceive: a broken message is told from a whole one in each framing, and the next one is waited for.
func TestReceive(t *testing.T) {
	withLength := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		half(w, r)
	}
	toTheEnd := func(w http.ResponseWriter, r *http.Request) { // as an HTTP/1.0 proxy answers
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+reply.HeaderExchange+": x\r\n\r\nhel")
		conn.Close()
	}
	s, from := startScript(t, says(408, "timed_out"), half, withLength, toTheEnd, says(503, "shut_down"), delivered)
	c, retried := fast()
	got, parts, err := receiveText(c, from)
	if got != "hello" || err != nil || fmt.Sprint(parts) != "[hel hel hel]" || fmt.Sprint(*retried) != "[broken broken broken shut_down]" || len(s.requests) != 6 {
		t.Errorf("received %q, %v; parts %q; retries %s; requests %d", got, err, parts, *retried, len(s.requests))
	}
	for _, broken := range []answer{half, withLength, toTheEnd} {
		_, from := startScript(t, broken)
		c.Retries = 0
		_, _, err := receiveText(c, from)
		if f, ok := errors.AsType[*Failure](err); !ok || f.Outcome != Broken || f.Class() != Failed {
			t.Errorf("of half a message: %v", err)
		}
	}
}

// TestReceiveStopsOnItsOwnError: a consumer that cannot store a message does not take another one.
func TestReceiveStopsOnItsOwnError(t *testing.T) {
	s, from := startScript(t, delivered)
	c, _ := fast()
	err := c.Receive(t.Context(), from, func(*Incoming) error { return io.ErrShortWrite })
	if err != io.ErrShortWrite || len(s.requests) != 1 {
		t.Errorf("%v after %d requests", err, len(s.requests))
	}
}

// TestWaitingEnds: when waiting is over, a request that waits is given up, and a message that has begun is received.
func TestWaitingEnds(t *testing.T) {
	over := errors.New("over")
	waiting, end := context.WithCancelCause(t.Context())
	_, from := startScript(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(reply.HeaderExchange, "x")
		io.WriteString(w, "hel")
		w.(http.Flusher).Flush()
		<-waiting.Done()
		io.WriteString(w, "lo")
	}, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, _ := fast()
	c.Waiting = waiting
	var body []byte
	err := c.Receive(t.Context(), from, func(m *Incoming) (err error) {
		end(over)
		body, err = io.ReadAll(m.Body)
		return err
	})
	if string(body) != "hello" || err != nil {
		t.Errorf("a message that had begun: %q, %v", body, err)
	}
	waiting, end = context.WithCancelCause(t.Context())
	c.Waiting = waiting
	time.AfterFunc(20*time.Millisecond, func() { end(over) })
	if err := c.Receive(t.Context(), from, nil); err != over {
		t.Errorf("a request that waits ends with %v", err)
	}
}

// TestGuard: a relay that is silent and answers probes is waited for; one that answers no more is given up.
func TestGuard(t *testing.T) {
	var frozen sync.RWMutex // locked: the relay does not answer
	handler := http.NewServeMux()
	asked := make(chan struct{}, 100)
	handler.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		frozen.RLock()
		defer frozen.RUnlock()
		asked <- struct{}{}
	})
	release := make(chan struct{})
	handler.HandleFunc("/channels/", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			delivered(w, r)
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(handler)
	defer s.Close()
	from, err := ParseAddress(s.URL+"/channels/demo/hello", Channel)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := fast()
	c.Round, c.Retries = 10*time.Millisecond, 0
	time.AfterFunc(time.Second, func() { close(release) })
	if got, _, err := receiveText(c, from); got != "hello" || err != nil || len(asked) < 3 {
		t.Errorf("of a silent relay: %q, %v after %d probes", got, err, len(asked))
	}
	release = make(chan struct{})
	frozen.Lock()
	defer frozen.Unlock()
	_, _, err = receiveText(c, from)
	if f, ok := errors.AsType[*Failure](err); !ok || f.Outcome != Unanswered || !strings.Contains(f.Text, errSilent.Error()) {
		t.Errorf("of a frozen relay: %v", err)
	}
}
