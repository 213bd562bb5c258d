package relay

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"httpipe/relay/http1"
)

// A Response is an http.ResponseWriter on a connection of the engine. It is owned by the goroutine that serves the request,
// except for the deadlines. It keeps the head and the body together, so that a response is sent with one write. A request
// that waits has a Pending instead, which sends messages.
type Response struct {
	conn   *Conn
	method string
	minor  int
	header http.Header
	close  bool // the connection ends after the response
	parked bool // the response is a Pending's

	status   int   // 0: none yet
	chunked  bool  // the body is
	bodiless bool  // there is no body, whatever is written
	left     int64 // bytes of the body that are still to be written, or unknownLength

	unsent []byte // from the buffer pool; nil if there is nothing
}

const unknownLength = -1

// Header implements http.ResponseWriter.
func (w *Response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter, for a final status.
func (w *Response) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.left = status, unknownLength
	if length := w.header["Content-Length"]; len(length) > 0 {
		w.left, _ = strconv.ParseInt(length[0], 10, 64) // it is ours
	}
	noContent := status == http.StatusNoContent || status == http.StatusNotModified
	w.bodiless = noContent || w.method == http.MethodHead
	open := w.left == unknownLength && !w.bodiless
	w.chunked = open && w.minor == 1
	w.close = w.close || open && !w.chunked || slices.Contains(w.header["Connection"], "close")
	w.unsent = w.appendHead(getBuffer()[:0])
}

// appendHead appends the head, its fields in alphabetical order.
func (w *Response) appendHead(b []byte) []byte {
	b = http1.AppendStatus(b, w.minor, w.status)
	var array [32]string
	names := array[:0]
	for name := range w.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "Connection" {
			continue
		}
		for _, value := range w.header[name] {
			b = http1.AppendField(b, name, value)
		}
	}
	if w.header["Cache-Control"] == nil {
		b = append(b, noStoreLine...)
	}
	return appendFraming(b, w.minor, w.close, w.chunked)
}

// appendFraming appends the fields that say how the response ends, except Content-Length, and the end of the head.
func appendFraming(b []byte, minor int, close, chunked bool) []byte {
	switch {
	case close:
		b = append(b, "Connection: close\r\n"...)
	case minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	if chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, http1.HeadEnd...)
}

// Write implements http.ResponseWriter. It keeps p until FlushError or the end: what handlers write on the engine is small.
func (w *Response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case len(p) == 0 || w.bodiless:
		return len(p), nil
	case w.left != unknownLength && int64(len(p)) > w.left:
		return 0, http.ErrContentLength
	}
	if w.left != unknownLength {
		w.left -= int64(len(p))
	}
	if w.unsent == nil {
		w.unsent = getBuffer()[:0]
	}
	if !w.chunked {
		w.unsent = append(w.unsent, p...)
		return len(p), nil
	}
	w.unsent = http1.AppendChunkHead(w.unsent, len(p))
	w.unsent = append(w.unsent, p...)
	w.unsent = append(w.unsent, http1.ChunkEnd...)
	return len(p), nil
}

// drop gives the buffer back.
func (w *Response) drop() {
	if w.unsent != nil {
		putBuffer(w.unsent)
		w.unsent = nil
	}
}

// FlushError sends what Write has kept. http.ResponseController calls it.
func (w *Response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.unsent == nil {
		return nil
	}
	_, err := w.conn.Conn.Write(w.unsent)
	w.close = w.close || err != nil
	w.drop()
	return err
}

// after ends the response, unless it is pending, and returns the state of the connection.
func (w *Response) after(body *requestBody) afterwards {
	switch {
	case w.parked:
		return pending
	case w.finish() && body.whole() && w.conn.rest():
		return served
	}
	return finished
}

// finish sends the rest of the response, and reports whether the connection can carry another one.
func (w *Response) finish() bool {
	if w.status == 0 && w.method != http.MethodHead {
		w.header["Content-Length"] = zero
	}
	w.WriteHeader(http.StatusOK)
	if w.chunked {
		if w.unsent == nil {
			w.unsent = getBuffer()[:0]
		}
		w.unsent = append(w.unsent, http1.LastChunk...)
	}
	err := w.FlushError()
	return err == nil && !w.close && (w.left <= 0 || w.bodiless)
}

var zero = []string{"0"}

// SetReadDeadline makes http.ResponseController's work. It may be called from any goroutine.
func (w *Response) SetReadDeadline(t time.Time) error { return w.conn.SetReadDeadline(t) }

// SetWriteDeadline makes http.ResponseController's work. It may be called from any goroutine.
func (w *Response) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }
