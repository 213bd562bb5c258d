package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/test/rawhttp"
)

const topicHere = "/topics/n/c"

// subscribed waits until that many clients are subscribed.
func (s *testServer) subscribed(n int) {
	s.t.Helper()
	rawhttp.Eventually(s.t, patience, fmt.Sprint(n, " are subscribed"), func() bool {
		got, _ := s.broker.LookTopic(keyHere)
		return got == n
	})
}

// commented waits until that many streams are open of those that get comments, and returns one of them.
func (s *testServer) commented(n int) (one *subscriber) {
	s.t.Helper()
	rawhttp.Eventually(s.t, patience, fmt.Sprint(n, " streams are open"), func() bool {
		s.relay.streams.mu.Lock()
		defer s.relay.streams.mu.Unlock()
		for one = range s.relay.streams.all {
		}
		return len(s.relay.streams.all) == n
	})
	return one
}

// An idle stream gets a comment in its form, between messages, and a message is what it was.
func TestComments(t *testing.T) {
	s := start(t)
	events := s.dial().Get(topicHere, "Accept: text/event-stream").Head().Body
	lines := s.dial().Get(topicHere, "Accept: application/x-ndjson").Head().Body
	raw := s.dial().Get(topicHere + "?follow").Head().Body
	old := s.dial().Say("GET " + topicHere + " HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n").Head().Body
	s.subscribed(4)
	s.commented(3)
	s.relay.streams.comment()
	reads(t, events, ":\n\n")
	reads(t, lines, "\n")
	reads(t, old, ":\n\n")
	s.dial().Post(topicHere, "x").Answer().Is(200)
	s.relay.streams.comment()
	for name, body := range map[string]io.Reader{"events": events, "old": old} {
		in := bufio.NewReader(body)
		var text strings.Builder
		for range 5 {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(name, err)
			}
			text.WriteString(line)
		}
		if got := text.String(); !strings.HasPrefix(got, "id: ") || !strings.HasSuffix(got, "\ndata: x\n\n:\n\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
	reads(t, raw, "x") // and no comment
}

// A comment that the kernel takes only a part of is completed before the next message.
func TestHalfComment(t *testing.T) {
	if *rawhttp.OverTLS {
		t.Skip("TLS writes whole records")
	}
	s := start(t)
	events := s.dial().Get(topicHere, "Accept: text/event-stream").Head().Body
	s.subscribed(1)
	one := s.commented(1)
	text := comments[one.form]
	rawhttp.Eventually(t, patience, "the stream is idle", one.lock.try)
	one.TrySend(text[:4], false)
	one.before = text[4:]
	one.unlock()
	id := s.dial().Post(topicHere, "x").Answer().Is(200).Header.Get("Httpipe-Exchange")
	reads(t, events, ":\n\nid: "+id+"\ndata: x\n\n")
}

// A panic while a message is written to one client closes its connection, and no other's.
func TestPanicOfOneSubscriber(t *testing.T) {
	for name, before := range map[string]int{"Offer": 0, "Finish": 32 << 20} { // more than the kernels take
		t.Run(name, func(t *testing.T) {
			s := start(t)
			bad := s.dial().Say("GET " + topicHere + " HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n").Head().Body
			one := s.commented(1)
			good := s.dial().Get(topicHere, "Accept: text/event-stream").Head().Body
			s.commented(2)
			rawhttp.Eventually(t, patience, "the stream is idle", one.lock.try)
			one.before = make([]byte, before)
			one.lock.mu.Lock()
			one.lock.busy, one.lock.freed = false, make(chan struct{})
			close(one.lock.freed) // closing it once more panics
			one.lock.mu.Unlock()
			publisher := s.dial().Post(topicHere, "x")
			if n, err := io.Copy(io.Discard, bad); err == nil { // a reset drops what the kernel has not sent
				t.Errorf("the stream of the other ended in order after %d bytes", n)
			}
			a := publisher.Answer().Is(200)
			if told := a.Header.Get("Httpipe-Delivered") + " of " + a.Header.Get("Httpipe-Subscribers"); told != "1 of 2" {
				t.Errorf("the publisher is told of %s", told)
			}
			reads(t, good, "id: "+a.Header.Get("Httpipe-Exchange")+"\ndata: x\n\n")
			s.Journal.Forgive("serving a request failed")
		})
	}
}

// A client that has asked for more than it reads does not keep the goroutine that opens its stream.
func TestOpeningHasALimit(t *testing.T) {
	s := start(t, func(set *settings) { set.StallTimeout = 50 * time.Millisecond })
	client := s.dial().Get(topicHere, "Accept: text/event-stream")
	client.Head()
	one := s.commented(1)
	rawhttp.Eventually(t, patience, "the stream is idle", one.lock.try)
	if err := one.sendOpening(make([]byte, 32<<20)); !errors.Is(err, os.ErrDeadlineExceeded) { // more than the kernels take
		t.Errorf("sending ended with %v", err)
	}
	one.unlock()
}

// A message waits while a stream is being opened, and a subscription that ends meanwhile ends after that.
func TestWriteLock(t *testing.T) {
	l := &writeLock{busy: true}
	if l.try() {
		t.Error("the lock was taken twice")
	}
	taken := make(chan bool)
	go func() {
		l.await()
		taken <- l.mine
	}()
	if o := l.end(); o != "" {
		t.Errorf("it has ended: %s", o)
	}
	if !<-taken {
		t.Error("the lock was not taken")
	}
	if !l.over(pipe.Stalled) {
		t.Error("the goroutine that sends must end the response itself")
	}
	l = &writeLock{busy: true}
	if l.over(pipe.Deleted) {
		t.Error("the response was ended while another goroutine writes")
	}
	if o := l.end(); o != pipe.Deleted {
		t.Errorf("the last to write is told %q", o)
	}
	if l.try() {
		t.Error("the lock was taken after the end")
	}
}
