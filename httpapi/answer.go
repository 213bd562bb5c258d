package httpapi

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"httpipe/pipe"
)

// The codes of Httpipe-Error that are not an outcome's word.
const (
	codeBadName          = "bad_name"
	codeBadWait          = "bad_wait"
	codeBadRequest       = "bad_request"
	codeNotAConsumer     = "not_a_consumer"
	codeNotFound         = "not_found"
	codeMethod           = "method"
	codeHTTPSRequired    = "https_required"
	codeAuditUnavailable = "audit_unavailable"
	codeBadFilter        = "bad_filter"
	codeUnauthorized     = "unauthorized"
	codeForbidden        = "forbidden"
)

// A failure is an answer other than success: its status, its code in Httpipe-Error, and one line of
// text for the client. It never holds the cause, which is the log's business.
type failure struct {
	status     int
	code       string
	text       string
	retryAfter int    // seconds; 0: no Retry-After
	challenge  string // WWW-Authenticate of a 401
	quiet      bool   // a consumer's: no body unless it asks for JSON, since what it prints must be a message
}

func (f *failure) Error() string { return f.code + ": " + f.text }

// endings says what a client is told of each outcome that is told to anybody. Those that are missing
// have nobody left to tell, or are told as success.
var endings = map[pipe.Outcome]failure{
	pipe.ConsumerLeft: {status: http.StatusBadGateway, text: "the consumer hung up before the last byte; send it again to try another"},
	pipe.ProducerLeft: {status: http.StatusBadRequest, text: "the body is malformed or ended early"},
	pipe.Stalled:      {status: http.StatusGatewayTimeout, text: "the consumer stopped reading before the last byte; send it again to try another"},
	pipe.Silent:       {status: http.StatusRequestTimeout, text: "nothing was sent for too long while a consumer was there"},
	pipe.TooLarge:     {status: http.StatusRequestEntityTooLarge, text: "the body is larger than this server takes"},
	pipe.Deleted:      {status: http.StatusGone, text: "the channel was deleted"},
	pipe.TimedOut:     {status: http.StatusRequestTimeout, text: "nobody came in the time to wait"},
	pipe.ShutDown:     {status: http.StatusServiceUnavailable, text: "the server is stopping", retryAfter: 1},
	pipe.Refused:      {status: http.StatusServiceUnavailable, text: "a limit of this server is reached", retryAfter: 5},
	pipe.Unrecorded: {status: http.StatusServiceUnavailable, code: codeAuditUnavailable, retryAfter: 1,
		text: "the audit log cannot be written, so this exchange is not on record"},
}

// ending returns what to tell a client in the given role of an outcome.
func ending(o pipe.Outcome, role pipe.Role) *failure {
	f, ok := endings[o]
	if !ok {
		panic("httpapi: nobody is told of the outcome " + string(o))
	}
	if f.code == "" {
		f.code = string(o)
	}
	return f.to(role)
}

// to returns f as a client in the given role gets it.
func (f failure) to(role pipe.Role) *failure {
	switch f.status {
	case http.StatusRequestTimeout, http.StatusGone, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		f.quiet = role == pipe.Consumer
	}
	return &f
}

// fail answers with f.
func fail(w http.ResponseWriter, r *http.Request, f *failure) {
	if !fromFirstByte(r.Header) {
		w = unsized{w}
	}
	h := w.Header()
	h.Set(headerError, f.code)
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	if f.challenge != "" {
		h.Set("WWW-Authenticate", f.challenge)
	}
	switch {
	case wantsJSON(r):
		writeJSONAs(w, "application/problem+json", f.status, problem{http.StatusText(f.status), f.status, f.text, f.code})
	case f.quiet:
		h.Set("Content-Length", "0")
		w.WriteHeader(f.status)
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		writeWhole(w, f.status, f.code+": "+f.text+"\n")
	}
}

// refuse answers with f a request whose body has not been read, and ends the connection: net/http would
// read on before it answers on one that is to be used again. Closed with bytes unread a connection is
// reset, and a reset costs many a client the answer, so it stays for a moment to let the client see it.
func refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	if r.ContentLength == 0 && r.ProtoAtLeast(1, 1) {
		fail(w, r, f) // there is no body; in HTTP/1.0 there may be one of unknown length
		return
	}
	w.Header().Set("Connection", "close")
	fail(w, r, f)
	c := connOf(r)
	if c == nil || http.NewResponseController(w).Flush() != nil {
		return
	}
	c.CloseWrite()
	c.SetReadDeadline(time.Now().Add(lingering))
	io.Copy(io.Discard, c.TCPConn)
}

// lingering is how long a client that is still sending has to see its answer.
const lingering = time.Second

// problem is the body of an error in JSON (RFC 9457). Its type is the default, about:blank, which makes
// the title the status's; ours is the code.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// wantsJSON reports whether the client asks for JSON.
func wantsJSON(r *http.Request) bool {
	return accepts(r, "application/json", "application/problem+json")
}

// accepts reports whether the client names one of these types among what it accepts. A wildcard does not
// count: every curl sends one.
func accepts(r *http.Request, types ...string) bool {
	return quality(r.Header["Accept"], types...) > 0
}

// quality returns the highest weight (RFC 9110 12.4.2) that the fields of an Accept header or its like give
// to one of these names: 0 if they name none, or only as refused.
func quality(fields []string, names ...string) float64 {
	highest := 0.0
	for _, list := range fields {
		for item := range strings.SplitSeq(list, ",") {
			name, params, err := mime.ParseMediaType(item)
			if err != nil || !slices.Contains(names, name) {
				continue
			}
			q, err := strconv.ParseFloat(params["q"], 64)
			if err != nil {
				q = 1
			}
			highest = max(highest, q)
		}
	}
	return highest
}

// breakOff ends a consumer's response so that nobody can take it for whole: no final chunk, too few
// bytes, or a reset (see endByReset). It does not return.
func breakOff() { panic(http.ErrAbortHandler) }

// hangUp closes the connection without an answer, of which a client that only half-closed would make a
// success. It does not return.
func hangUp() { panic(http.ErrAbortHandler) }
