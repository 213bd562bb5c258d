package reply

import (
	"net/http"
	"strconv"

	"httpipe/pipe"
)

// The codes of HeaderError that are not the word of an outcome.
const (
	CodeBadName          = "bad_name"
	CodeBadWait          = "bad_wait"
	CodeBadRequest       = "bad_request"
	CodeNotAConsumer     = "not_a_consumer"
	CodeNotFound         = "not_found"
	CodeMethod           = "method"
	CodeHTTPSRequired    = "https_required"
	CodeAuditUnavailable = "audit_unavailable"
	CodeBadFilter        = "bad_filter"
	CodeUnauthorized     = "unauthorized"
	CodeForbidden        = "forbidden"
	CodeMisdirected      = "misdirected"
	CodeNodeUnreachable  = "node_unreachable"
)

// An Error is an answer other than success. It never holds the cause, which is for the server's log.
type Error struct {
	Status     int
	Code       string // of HeaderError
	Text       string // one line for the client
	RetryAfter int    // seconds; 0: no Retry-After
	Challenge  string // WWW-Authenticate of a 401

	// NoBody leaves the body empty unless the client asks for JSON. It is for consumers: what they print must be a
	// message.
	NoBody bool
}

func (e *Error) Error() string { return e.Code + ": " + e.Text }

// HTTPSRequired returns the error that answers a request over plain HTTP where only https is served. There is no redirect:
// curl -L turns a POST into a GET when it follows one, and a GET consumes a message.
func HTTPSRequired() *Error {
	return &Error{Status: http.StatusForbidden, Code: CodeHTTPSRequired,
		Text: "this server accepts https only: write https:// in the URL (it does not redirect, which would turn a POST into a GET)"}
}

// To returns e as a client in the given role gets it.
func (e Error) To(role pipe.Role) *Error {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusGone, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.NoBody = role == pipe.Consumer
	}
	return &e
}

// problemType is the media type of an error in JSON.
const problemType = "application/problem+json"

// Problem is the body of an error in JSON (RFC 9457). Its type is the default, about:blank, which makes the title
// the status's.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// Response returns the response for e, in JSON or as one line of text.
func (e *Error) Response(wantsJSON bool) Response {
	var r Response
	switch {
	case wantsJSON:
		r = encode(problemType, e.Status, Problem{http.StatusText(e.Status), e.Status, e.Text, e.Code})
	case e.NoBody:
		r = Response{Status: e.Status}
	default:
		r = Text(e.Status, "text/plain; charset=utf-8", e.Code+": "+e.Text+"\n")
	}
	r.add(HeaderError, e.Code)
	if e.RetryAfter > 0 {
		r.add("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if e.Challenge != "" {
		r.add("WWW-Authenticate", e.Challenge)
	}
	return r
}
