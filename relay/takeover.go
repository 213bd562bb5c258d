package relay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// net/http's reader of chunked bodies returns only when a chunk has ended or the caller's buffer is full. If the second
// half of a chunk is late, it holds the first half back, which a relay must not do. So a request with a chunked body is
// taken over from net/http, body and response. The price is that its connection is closed after the response.

// takesOver reports whether r must be taken over. Where connections are not watched, only net/http notices a client that
// hangs up, so it keeps all requests.
func takesOver(r *Request) bool {
	return len(r.TransferEncoding) > 0 && r.ProtoAtLeast(1, 1) && r.Conn != nil && r.Conn.watcher.works()
}

// A takenOver is the http.ResponseWriter of a request that was taken over. It is owned by the handler's goroutine, except
// for SetReadDeadline.
type takenOver struct {
	conn   net.Conn
	header http.Header
	status int // 0: none yet
	body   bytes.Buffer
	sent   bool
}

// takeOver takes w and r over from net/http, and changes the body of r. The caller must close what it returns.
func takeOver(w http.ResponseWriter, r *Request) (*takenOver, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	t := &takenOver{conn: conn, header: w.Header()}
	body := io.Reader(&chunkReader{r: buffered.Reader})
	if r.Header.Get("Expect") != "" {
		body = &continueReader{r: body, ask: func() { t.WriteHeader(http.StatusContinue) }}
	}
	r.Body = io.NopCloser(body)
	return t, nil
}

func (t *takenOver) Header() http.Header { return t.header }

// WriteHeader sends an interim status at once, and keeps a final one for FlushError.
func (t *takenOver) WriteHeader(status int) {
	if status >= 200 {
		t.status = status
		return
	}
	fmt.Fprintf(t.conn, "HTTP/1.1 %d %s\r\n\r\n", status, http.StatusText(status))
}

// Write keeps p for FlushError: responses to producers are short.
func (t *takenOver) Write(p []byte) (int, error) { return t.body.Write(p) }

// FlushError sends the response. Nothing can be added to it later.
func (t *takenOver) FlushError() error {
	if t.sent {
		return nil
	}
	t.sent = true
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.header.Del("Content-Length") // http.Response has its own
	t.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	response := http.Response{
		StatusCode:    t.status,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        t.header,
		Body:          io.NopCloser(&t.body),
		ContentLength: int64(t.body.Len()),
		Close:         true,
	}
	out := bufio.NewWriter(t.conn)
	if err := response.Write(out); err != nil {
		return err
	}
	return out.Flush()
}

// SetReadDeadline is called by http.ResponseController. It may be called from any goroutine.
func (t *takenOver) SetReadDeadline(at time.Time) error { return t.conn.SetReadDeadline(at) }

// close closes the connection. A response that has not been flushed is not sent.
func (t *takenOver) close() { t.conn.Close() }

// A continueReader asks for the body (100 Continue) when it is first read, since the client waits for that.
type continueReader struct {
	r   io.Reader
	ask func() // nil once it was called
}

func (a *continueReader) Read(p []byte) (int, error) {
	if a.ask != nil {
		a.ask()
		a.ask = nil
	}
	return a.r.Read(p)
}
