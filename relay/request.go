package relay

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// A Request is an HTTP request with what the server has found out about it: its target, its client and its
// credentials. The goroutine that handles the request owns it.
type Request struct {
	Method     string
	Path       string // as it was sent
	Query      string // as it was sent, but for credentials that were taken out of it
	EmptyQuery bool   // the target ends with a question mark
	Host       string
	Header     http1.Header
	Length     int64     // of the body; -1: unknown
	Body       io.Reader // never nil
	Minor      int       // of HTTP/1
	Close      bool      // the client expects the connection to end after the response
	RemoteAddr string    // of the connection, with its port
	Conn       *Conn     // nil if the connection is not watched

	context context.Context // of a request that net/http has read

	Key   pipe.Key   // what the path names
	Shape pipe.Shape // of what the path names

	// Set before Produce or Consume.
	Client     pipe.Client
	Group      string // pipe.Arrival.Group
	TokenInURL bool   // the URL holds a token
	// ForeignAuthorization has the values of Authorization if they are not credentials of this server, so that a consumer
	// may see them.
	ForeignAuthorization []string

	// Of a request to a service.
	Target  string // of a call: the path below the service, with the query, as it was sent, without our credentials
	ReplyID string // of an answer: the last part of its path

	Posts bool   // a GET that produces the text in its URL: see posted.go
	lines string // the header lines as they were sent; "" if net/http has read them

	ErrorCode string // the code of the error that it was answered with; "": none
}

// NewRequest returns the request that net/http has read. r must come from a server with ConnContext.
func NewRequest(r *http.Request) *Request {
	request := &Request{
		Method:     r.Method,
		Path:       r.RequestURI,
		Query:      r.URL.RawQuery,
		EmptyQuery: strings.HasSuffix(r.RequestURI, "?") && r.URL.RawQuery == "",
		Host:       r.Host,
		Header:     http1.HeaderOf(r.Header),
		Length:     r.ContentLength,
		Body:       r.Body,
		Close:      r.Close,
		RemoteAddr: r.RemoteAddr,
		context:    r.Context(),
		Posts:      posts(r.Method, r.URL.RawQuery),
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		request.Path = r.URL.EscapedPath() // the absolute form that is sent to proxies
	}
	request.Path, _, _ = strings.Cut(request.Path, "?")
	if r.ProtoAtLeast(1, 1) {
		request.Minor = 1
	}
	request.Conn, _ = r.Context().Value(connKey{}).(*Conn)
	return request
}

// Context returns the context of a request that net/http has read.
func (r *Request) Context() context.Context { return r.context }

type connKey struct{}

// ConnContext is for http.Server.ConnContext. It lets NewRequest find the connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// NoteState is for http.Server.ConnState. It notes what net/http says of a connection.
func NoteState(c net.Conn, state http.ConnState) {
	switch c := c.(*Conn); state {
	case http.StateActive:
		c.setPhase(phaseBusy)
	case http.StateIdle:
		c.setPhase(phaseIdle)
	}
}

// WantsJSON reports whether the client asks for JSON.
func (r *Request) WantsJSON() bool { return reply.WantsJSON(r.Header.Joined("Accept")) }

// Fail answers with e.
func (r *Request) Fail(w http.ResponseWriter, e *reply.Error) {
	r.ErrorCode = e.Code
	if retry, ok := reply.RetryStream(e); ok && r.Key.Channel != "" && r.Shape == pipe.Topic && r.Method == http.MethodGet && kindOf(r) == eventStream {
		retry.Write(w)
		return
	}
	response := e.Response(r.WantsJSON())
	response.NoLength = r.Method == http.MethodGet && !fromFirstByte(&r.Header)
	response.Write(w)
}

// Refuse answers with e when the body may not have been read, and then closes the connection: net/http would first
// read the body to the end. If a connection is closed while data is unread, the kernel sends a reset, and many
// clients then lose the answer. So the connection stays open for a moment.
func (r *Request) Refuse(w http.ResponseWriter, e *reply.Error) {
	if r.Length == 0 && r.Minor == 1 {
		r.Fail(w, e) // there is no body; in HTTP/1.0 there may be one of unknown length
		return
	}
	w.Header().Set("Connection", "close")
	r.Fail(w, e)
	if r.Conn != nil && http.NewResponseController(w).Flush() == nil {
		r.Conn.linger()
	}
}

// IgnoreBody has net/http answer r without reading its body first, for which it would wait without a limit. The connection
// ends after the response, at the latest a moment after this call if the client sends on. A handler that does read the body
// calls OnEngine or DropBody, which undo this.
func (r *Request) IgnoreBody(w http.ResponseWriter) {
	if r.Length == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	if r.Conn != nil {
		r.Conn.SetReadDeadline(time.Now().Add(lingering)) // net/http reads on behind its response
	}
}

// DropBody reads the body that a GET may have, for at most the timeout. The body means nothing, but unread it could
// hide the client's FIN, and net/http would read it before it lets a response begin.
func (r *Request) DropBody(timeout time.Duration) *reply.Error {
	if r.Length == 0 {
		return nil
	}
	if r.Conn != nil {
		r.Conn.setPhase(phaseBody)
		defer r.Conn.setPhase(phaseBusy)
		r.Conn.SetReadDeadline(time.Now().Add(timeout))
		defer r.Conn.SetReadDeadline(time.Time{})
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest,
			Text: "a GET's body, which means nothing here, is malformed or did not come"}
	}
	return nil
}

// OnHangUp calls f, once, if the client of a request that net/http has read hangs up before stop is called. A hang-up
// behind further bytes of the client is not noticed. The body must have been read.
func (r *Request) OnHangUp(f func()) (stop func()) {
	end := context.AfterFunc(r.Context(), f)
	return func() { end() }
}

// BreakOff returns a handler for the http.Server that serves Others. If h panics, as after Abort, the handler closes the
// connection at once. Without it, net/http would end an incomplete TLS response with a close_notify.
func BreakOff(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				r.Context().Value(connKey{}).(*Conn).breakOff()
				panic(p)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// Abort closes the connection of a request that is not pending at once. It does not return. A response that has begun is
// left without its end, so no client takes it for whole; one that has not is not sent at all, and a client that only closed
// its sending half does not take it for a success.
func Abort() { panic(http.ErrAbortHandler) }
