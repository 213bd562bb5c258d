package httpapi

import (
	"io"
	"net/http"
	"time"

	"httpipe/reply"
)

// fail answers with f.
func fail(w http.ResponseWriter, r *http.Request, f *reply.Error) {
	response := f.Response(reply.WantsJSON(r.Header["Accept"]))
	response.NoLength = r.Method == http.MethodGet && !fromFirstByte(r.Header)
	response.Write(w)
}

// refuse answers with f a request whose body has not been read, and ends the connection: net/http would
// read on before it answers on one that is to be used again. Closed with bytes unread a connection is
// reset, and a reset costs many a client the answer, so it stays for a moment to let the client see it.
func refuse(w http.ResponseWriter, r *http.Request, f *reply.Error) {
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

// breakOff ends a consumer's response so that nobody can take it for whole: no final chunk, too few
// bytes, or a reset (see endByReset). It does not return.
func breakOff() { panic(http.ErrAbortHandler) }

// hangUp closes the connection without an answer, of which a client that only half-closed would make a
// success. It does not return.
func hangUp() { panic(http.ErrAbortHandler) }
