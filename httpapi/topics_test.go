package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

const (
	topicHere = "/topics/n/c"
	asEvents  = "Accept: text/event-stream"
	asLines   = "Accept: application/x-ndjson"
)

// subscribed waits until that many clients are subscribed to the topic.
func (r *testServer) subscribed(n int) {
	r.t.Helper()
	eventually(r.t, patience, fmt.Sprintf("%d are subscribed", n), func() bool {
		got, _ := r.broker.LookTopic(keyHere)
		return got == n
	})
}

// follow subscribes to a stream, and returns the head of the response.
func (r *testServer) follow(path string, headers ...string) *http.Response {
	r.t.Helper()
	head := r.dial().Get(path, headers...).Head()
	if head.StatusCode != http.StatusOK {
		r.t.Fatalf("the stream begins with %s", head.Status)
	}
	return head
}

// published publishes a message and returns its id.
func (r *testServer) published(body string, subscribers, delivered int) string {
	r.t.Helper()
	a := r.dial().Post(topicHere, body).Answer().Is(200)
	if s, d := a.Header.Get(reply.HeaderSubscribers), a.Header.Get(reply.HeaderDelivered); s != fmt.Sprint(subscribers) || d != fmt.Sprint(delivered) {
		r.t.Errorf("the publisher is told %s of %s, want %d of %d", d, s, delivered, subscribers)
	}
	return a.Header.Get(reply.HeaderExchange)
}

// stored has the server keep a log.
func stored(t *testing.T) func(*Config) {
	log, err := store.Open(store.Config{Path: filepath.Join(t.TempDir(), "audit.db"), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return func(c *Config) { c.Log = log }
}

func TestPublishToStreams(t *testing.T) {
	r := start(t)
	events, lines, raw := r.follow(topicHere, asEvents), r.follow(topicHere, asLines), r.follow(topicHere+"?follow&mime=text/plain")
	one := r.dial().Get(topicHere)
	r.subscribed(4)
	id := r.published("a\nb", 4, 4)
	reads(t, events.Body, "id: "+id+"\ndata: a\ndata: b\n\n")
	reads(t, raw.Body, "a\nb")
	answer := one.Answer().Got("a\nb")
	if answer.Header.Get(reply.HeaderExchange) != id || answer.ContentLength != 3 {
		t.Errorf("the head is %v", answer.Header)
	}
	var line struct {
		ID, Text    string
		PublishedAt time.Time `json:"published_at"`
		ContentType string    `json:"content_type"`
	}
	decoder := json.NewDecoder(lines.Body)
	if err := decoder.Decode(&line); err != nil || line.ID != id || line.Text != "a\nb" || line.ContentType != "application/octet-stream" || time.Since(line.PublishedAt) > time.Minute {
		t.Errorf("the line is %+v, %v", line, err)
	}
	for head, kind := range map[*http.Response]string{events: "text/event-stream", lines: "application/x-ndjson", raw: "text/plain"} {
		h := head.Header
		if h.Get("Content-Type") != kind || h.Get("Cache-Control") != "no-store, no-transform" || h.Get("X-Accel-Buffering") != "no" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("the head of %s is %v", kind, h)
		}
	}
	empty := r.published("", 3, 3)
	reads(t, events.Body, "id: "+empty+"\ndata: \n\n")
	binary := r.published("\xff\x00", 3, 3)
	reads(t, events.Body, "id: "+binary+"\nevent: base64\ndata: /wA=\n\n")
	carriage := r.published("a\r\nb", 3, 3)
	reads(t, events.Body, "id: "+carriage+"\nevent: base64\ndata: YQ0KYg==\n\n")
	reads(t, raw.Body, "\xff\x00a\r\nb")
	if all := decoder; true {
		var more [3]map[string]string
		for i := range more {
			if err := all.Decode(&more[i]); err != nil {
				t.Fatal(err)
			}
		}
		if text, ok := more[0]["text"]; !ok || text != "" || more[1]["base64"] != "/wA=" || more[2]["text"] != "a\r\nb" {
			t.Errorf("the lines are %q", more)
		}
	}
}

// A stream ends in order when the topic is deleted, and one that is subscribed for one message gets 410.
func TestDeleteEndsSubscriptions(t *testing.T) {
	r := start(t)
	events, one := r.follow(topicHere, asEvents), r.dial().Get(topicHere)
	old := r.dial().Say("GET " + topicHere + "?follow HTTP/1.0\r\n\r\n")
	r.subscribed(3)
	if head := r.dial().Request("HEAD", topicHere).Head(); head.StatusCode != 200 || head.Header.Get(reply.HeaderConsumers) != "3" {
		t.Errorf("HEAD: %d, %v", head.StatusCode, head.Header)
	}
	r.dial().Request("DELETE", topicHere).Answer().Is(204)
	one.Answer().Failed(410, "deleted")
	if rest, err := io.ReadAll(events.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	if a := old.Answer(); a.Err != nil || a.Text != "" || a.Proto != "HTTP/1.0" {
		t.Errorf("the stream in HTTP/1.0 ends with %q, %v", a.Text, a.Err)
	}
	r.dial().Request("DELETE", topicHere).Answer().Failed(404, "not_found")
	if head := r.dial().Request("HEAD", topicHere).Head(); head.StatusCode != 404 {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
}

// A client that gets one message can use its connection again.
func TestSubscribeAgainOnOneConnection(t *testing.T) {
	r := start(t)
	c := r.dial()
	for i := range 3 {
		c.Get(topicHere)
		r.subscribed(1)
		message := fmt.Sprint("message ", i)
		r.published(message, 1, 1)
		c.Answer().Got(message)
	}
	c.Get(topicHere+"?wait=10ms").Answer().Failed(408, "timed_out")
	c.Get(topicHere+"?wait=0").Answer().Failed(408, "timed_out")
}

func TestSubscriberHangsUp(t *testing.T) {
	r := start(t)
	one, stream := r.connect().Get(topicHere), r.connect().Get(topicHere, asEvents)
	r.subscribed(2)
	began := time.Now()
	one.HangUp()
	stream.Reset()
	r.subscribed(0)
	if took := time.Since(began); took > atOnce+noise {
		t.Errorf("the hang-ups were noticed after %v", took)
	}
	r.published("x", 0, 0)
}

// A client that hangs up before a message is published never counts as one that took it, whether or not its connection's
// goroutine has run since.
func TestNoDeliveryAfterAHangUp(t *testing.T) {
	r := start(t)
	for range 20 {
		var all []*client
		for n := range 2 * pipe.LookSize {
			behind := ""
			if n%4 == 0 {
				behind = "\r\n" // which hides the FIN from a peek
			}
			c := r.connect().Say("GET " + topicHere + " HTTP/1.1\r\nHost: x\r\n" + asEvents + "\r\n\r\n" + behind)
			c.Head()
			all = append(all, c)
		}
		r.subscribed(len(all))
		publisher := r.connect()
		for _, c := range all {
			c.HangUp()
		}
		if delivered := publisher.Post(topicHere, "x").Answer().Is(200).Header.Get(reply.HeaderDelivered); delivered != "0" {
			t.Errorf("%s messages were delivered to clients that had hung up", delivered)
		}
		r.subscribed(0)
	}
}

// A subscriber that stops reading is cut after the timeout. Until then the publisher waits, but the others do not.
func TestSubscriberStopsReading(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MessageTimeout = time.Second })
	stuck, quick := r.follow(topicHere+"?follow"), r.follow(topicHere+"?follow")
	message := strings.Repeat("x", 1<<20)
	stop := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, quick.Body)
		stop <- n
	}()
	delivered := 0
	for range 40 {
		a := r.dial().Post(topicHere, message).Answer().Is(200)
		if delivered++; a.Header.Get(reply.HeaderDelivered) == "1" {
			break
		}
	}
	if n, _ := r.broker.LookTopic(keyHere); n != 1 {
		t.Fatalf("%d are subscribed after %d messages, want 1", n, delivered)
	}
	if n, err := io.Copy(io.Discard, stuck.Body); err == nil || n >= int64(delivered)<<20 {
		t.Errorf("the stream that was cut looks whole: %d bytes, %v", n, err)
	}
	r.dial().Request("DELETE", topicHere).Answer().Is(204)
	if n := <-stop; n != int64(delivered)<<20 {
		t.Errorf("the other subscriber got %d bytes of %d messages", n, delivered)
	}
}

func TestPublishWaitsForSubscribers(t *testing.T) {
	r := start(t)
	r.dial().Post(topicHere+"?subscribers=1&wait=20ms", "x").Answer().Failed(408, "timed_out")
	r.dial().Post(topicHere+"?subscribers=x", "x").Answer().Failed(400, "bad_request")
	gone := r.connect().Post(topicHere+"?subscribers=1", "gone")
	p := r.dial().Post(topicHere+"?subscribers=2", "hello")
	eventually(t, patience, "both wait", func() bool { return r.broker.Load().Publishers == 2 })
	gone.HangUp()
	eventually(t, patience, "one waits", func() bool { return r.broker.Load().Publishers == 1 })
	a := r.dial().Get(topicHere)
	r.subscribed(1)
	p.Unanswered()
	b := r.dial().Get(topicHere)
	p.Answer().Is(200)
	a.Answer().Got("hello")
	b.Answer().Got("hello")
}

func TestMessageLimits(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxMessage, c.MaxMessageMemory = 10, 1200 })
	r.dial().Post(topicHere, "12345678901").Answer().Failed(413, "too_large")
	r.dial().Request("POST", topicHere, chunked).Say(chunk("123456")+chunk("789012")).Answer().Failed(413, "too_large")
	r.published("1234567890", 0, 0)
	slow := r.dial().Request("POST", topicHere, length(5)).Say("1")
	eventually(t, patience, "the message takes memory", func() bool { return r.broker.MessageMemory() > 0 })
	r.dial().Post(topicHere, "12").Answer().Failed(503, "refused").RetryAfter(1, 60)
	slow.HangUp()
	eventually(t, patience, "the memory is free", func() bool { return r.broker.MessageMemory() == 0 })
	r.published("12", 0, 0)
}

// A publisher is told the truth in JSON, too.
func TestPublicationReceipt(t *testing.T) {
	r := start(t)
	a := r.dial().Post(topicHere, "hello", "Accept: application/json").Answer().Is(200)
	var receipt reply.PublicationReceipt
	if err := json.Unmarshal([]byte(a.Text), &receipt); err != nil || receipt.Publication != a.Header.Get(reply.HeaderExchange) || receipt.Topic != "c" ||
		receipt.Outcome != "published" || receipt.Bytes != 5 || receipt.Subscribers != 0 || receipt.Delivered != 0 {
		t.Errorf("%+v, %v", receipt, err)
	}
}

// An EventSource gives up on any status but 200, so it is told to come back.
func TestEventSourceIsToldToRetry(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits = pipe.Limits{Waiting: 1}; c.RatePerClient = 5 })
	for _, test := range []struct{ path, code, text string }{
		{topicHere + "?wait=0", "timed_out", "retry: 1000\n\n"},
		{topicHere, "refused", "retry: 5000\n\n"},
	} {
		if test.code == "refused" {
			r.dial().Get("/channels/n/c")
			r.Waiting(0, 1)
		}
		a := r.dial().Get(test.path, asEvents).Answer().Got(test.text)
		if a.Header.Get(reply.HeaderError) != test.code || a.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %v", test.path, a.Header)
		}
	}
	r.dial().Get(topicHere).Answer().Failed(503, "refused")
	r.dial().Get(topicHere).Answer().Failed(503, "refused")
	if a := r.dial().Get(topicHere, asEvents).Answer().Is(200); !strings.HasPrefix(a.Text, "retry: ") {
		t.Errorf("over the rate: %q", a.Text)
	}
	r.dial().Get(topicHere).Answer().Failed(429, "refused")
}

// A subscriber that reconnects gets the number of messages that it has missed, or "unknown".
func TestMissed(t *testing.T) {
	r := start(t, stored(t))
	first := r.published("1", 0, 0)
	for _, body := range []string{"2", "3"} {
		r.published(body, 0, 0)
	}
	last := r.published("4", 0, 0)
	back := func(id string) io.Reader { return r.follow(topicHere, asEvents, "Last-Event-ID: "+id).Body }
	missed, nothing, unknown, other := back(first), back(last), back("nobody's"), r.follow("/topics/n/other", asEvents, "Last-Event-ID: "+first).Body
	r.subscribed(3)
	next := r.published("5", 3, 3)
	event := "id: " + next + "\ndata: 5\n\n"
	reads(t, missed, "event: missed\nid: "+last+"\ndata: 3\n\n"+event)
	reads(t, nothing, event)
	reads(t, unknown, "event: missed\ndata: unknown\n\n"+event)
	reads(t, other, "event: missed\ndata: unknown\n\n")

	without := start(t)
	reads(t, without.follow(topicHere, asEvents, "Last-Event-ID: "+first).Body, "event: missed\ndata: unknown\n\n")
}

// At a shutdown streams end in order, and those that are subscribed for one message may come back.
func TestShutdownEndsSubscriptions(t *testing.T) {
	r := start(t)
	events, one := r.follow(topicHere, asEvents), r.dial().Get(topicHere)
	r.subscribed(2)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(events.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	one.Answer().Failed(503, "shut_down").RetryAfter(1, 1)
}

func TestSubscribeRefusals(t *testing.T) {
	r := start(t)
	r.dial().Get(topicHere, "Purpose: prefetch").Answer().Failed(400, "not_a_consumer")
	r.dial().Get(topicHere, "Range: bytes=5-").Answer().Failed(400, "not_a_consumer")
	r.dial().Get(topicHere+"?method=post&body=x", "Purpose: prefetch").Answer().Failed(400, "not_a_consumer")
	r.dial().Get(topicHere+"?follow&mime=text%2Fplain%0d%0aX:y").Answer().Failed(400, "bad_request")
	r.dial().Get(topicHere+"?follow&mime=x").Answer().Failed(400, "bad_request")
	r.dial().Get(topicHere+"?wait=x").Answer().Failed(400, "bad_wait")
	r.dial().Get("/topics/n/a%20b").Answer().Failed(400, "bad_name")
	r.dial().Get("/topics/n").Answer().Failed(404, "not_found")
	r.dial().Request("PATCH", topicHere, length(0)).Answer().Failed(405, "method")
	r.dial().Say("POST "+topicHere+" HTTP/1.0\r\n\r\n").Answer().Failed(411, "bad_request")
	if n := len(r.broker.Snapshot(10).Topics); n != 0 {
		t.Errorf("%d topics exist", n)
	}
}

// What goes through net/http first, such as a request with an unusual header, is the same.
func TestTopicThroughNetHTTP(t *testing.T) {
	r := start(t)
	odd := "Connection: keep-alive, x-odd"
	events, one := r.follow(topicHere, asEvents, odd), r.dial().Get(topicHere, odd)
	r.subscribed(2)
	a := r.dial().Post(topicHere, "x", odd).Answer().Is(200)
	if a.Header.Get(reply.HeaderDelivered) != "2" {
		t.Errorf("%v", a.Header)
	}
	reads(t, events.Body, "id: "+a.Header.Get(reply.HeaderExchange)+"\ndata: x\n\n")
	one.Answer().Got("x")
}

func TestMultipartAndPosted(t *testing.T) {
	r := start(t)
	one := r.dial().Get(topicHere)
	r.subscribed(1)
	r.dial().Post(topicHere, "--b\r\nContent-Disposition: form-data; name=f\r\nContent-Type: text/x\r\n\r\nhello\r\n--b--\r\n", "Content-Type: multipart/form-data; boundary=b").Answer().Is(200)
	if a := one.Answer().Got("hello"); a.Header.Get("Content-Type") != "text/x" {
		t.Errorf("%v", a.Header)
	}
	one.Get(topicHere)
	r.subscribed(1)
	r.dial().Get(topicHere + "?method=post&body=a+b").Answer().Is(200)
	one.Answer().Got("a b")
}

// A publisher that stops sending its message gives the memory back.
func TestSilentPublisher(t *testing.T) {
	t.Parallel()
	r := start(t, silentFor(2*time.Second))
	p := r.dial().Request("POST", topicHere, length(10)).Say("hello")
	p.Answer().Failed(408, "silent")
	slow := r.dial().Request("POST", topicHere, length(5))
	for _, c := range "hello" {
		time.Sleep(500 * time.Millisecond) // of 2 s for each byte
		slow.Say(string(c))
	}
	slow.Answer().Is(200)
	eventually(t, patience, "the memory is free", func() bool { return r.broker.MessageMemory() == 0 }) // a moment after the answer
}
