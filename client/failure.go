package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"httpipe/reply"
)

// The outcomes that a client finds by itself. All others are the codes of a relay, such as consumer_left.
const (
	Unreachable = "unreachable" // no request was sent
	Unanswered  = "unanswered"  // a request was sent, and no answer came: its message may have arrived
	Broken      = "broken"      // a body did not arrive whole
	NotARelay   = "not_a_relay" // the answer comes from another server, or from a proxy
)

// A Failure is the error of a transfer that a relay or the network ended.
type Failure struct {
	Outcome  string        // the code of the relay's answer, or one of the above
	Status   int           // of the answer; 0: there was none
	Exchange string        // id of the exchange that failed; empty: none had begun
	Text     string        // one line for the user: what happened, and what to do
	After    time.Duration // how long the relay asks to wait before the next attempt; 0: it does not say
	Final    bool          // do not try again
	first    bool          // the relay has worked since the last failure, so this is the first of a row
	cause    error
}

func (f *Failure) Error() string { return f.Outcome + ": " + f.Text }

func (f *Failure) Unwrap() error { return f.cause }

// A Class of failures calls for one reaction of the user.
type Class int

const (
	TimedOut    Class = iota // wait longer: no partner came
	Rejected                 // change the request: the server does not accept it
	Failed                   // check the other side: the transfer was cut, and the message may have arrived
	Unavailable              // wait: the relay is not there or has no room, and nothing was transferred
	Deleted                  // nothing: a client deleted the channel
)

// Class returns the class of a failure.
func (f *Failure) Class() Class {
	switch {
	case f.Outcome == "timed_out":
		return TimedOut
	case f.Outcome == "deleted":
		return Deleted
	case f.Outcome == Unreachable:
		return Unavailable
	case f.Exchange != "" || f.Outcome == Unanswered || f.Outcome == Broken:
		return Failed
	case f.Status >= 500 || f.Status == http.StatusTooManyRequests || f.Status == http.StatusRequestTimeout:
		return Unavailable
	}
	return Rejected
}

// canPass reports whether another attempt can succeed.
func (f *Failure) canPass() bool {
	class := f.Class()
	tooLarge := f.Status == http.StatusRequestEntityTooLarge
	return !f.Final && !tooLarge && class != Rejected && class != Deleted
}

// noAnswer returns the failure of a request that got no answer. Its outcome depends on whether anything was sent.
func noAnswer(ctx context.Context, err error, begun bool) *Failure {
	if cause := context.Cause(ctx); cause != nil {
		err = cause // rather than "context canceled"
	}
	if begun {
		separator := ": "
		if isDial(err) { // on another connection than the one that broke
			separator = "; "
		}
		return &Failure{Outcome: Unanswered, Text: "the connection broke before the answer" + separator + Explain(err), cause: err}
	}
	return &Failure{Outcome: Unreachable, Text: Explain(err), cause: err}
}

// Explain returns the text of the error of an HTTP request in one line, with the operation that a user recognizes.
func Explain(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	op, _ := errors.AsType[*net.OpError](err)
	name, unknown := errors.AsType[*net.DNSError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unknown:
		return fmt.Sprintf("cannot find the address of %s: %s", name.Name, name.Err)
	case noTLS:
		return "the server does not speak TLS; if that is right, write http:// in the URL"
	case strings.Contains(err.Error(), "malformed HTTP"):
		return "the server does not speak HTTP; check the URL"
	case isDial(err) && op.Addr != nil:
		return fmt.Sprintf("cannot connect to %s: %v", op.Addr, op.Err)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server closed the connection"
	}
	return firstLine(err.Error())
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// failureOf returns the failure that an answer stands for.
func failureOf(resp *http.Response) *Failure {
	f := &Failure{Outcome: resp.Header.Get(reply.HeaderError), Status: resp.StatusCode, Exchange: resp.Header.Get(reply.HeaderExchange)}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		f.After = time.Duration(seconds) * time.Second
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case f.Outcome != "":
		f.Text = strings.TrimPrefix(explanation(resp, body), f.Outcome+": ")
	case resp.StatusCode < 300:
		f.Outcome, f.Text = NotARelay, fmt.Sprintf("the server answers %s, but not as a relay does; check the URL", resp.Status)
	case resp.StatusCode < 400:
		f.Outcome, f.Text = NotARelay, fmt.Sprintf("the server answers %s and redirects to %s; use the URL there", resp.Status, resp.Header.Get("Location"))
	default:
		f.Outcome, f.Text = NotARelay, fmt.Sprintf("a proxy, or a server that is no relay, answers %s; check the URL and the proxy", resp.Status)
	}
	return f
}

// explanation returns the text of an error's body: the detail of application/problem+json, or the first line.
func explanation(resp *http.Response, body []byte) string {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/problem+json" {
		var problem struct{ Detail string }
		if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
			return firstLine(problem.Detail)
		}
	}
	if line := firstLine(string(body)); line != "" {
		return line
	}
	return "the server answers " + resp.Status
}
