package relay

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// newHead returns the head of a message from the headers of a request, or of a part of a form.
func newHead(h *http1.Header) pipe.Head {
	head := pipe.Head{ContentType: h.Get("Content-Type")}
	head.SetRare(&pipe.RareHead{
		ContentDisposition: h.Get("Content-Disposition"),
		ContentEncoding:    h.Joined("Content-Encoding"),
		ContentLanguage:    h.Joined("Content-Language"),
	})
	// curl -d sends this type with any data, so it carries no information.
	if head.ContentType == "" || head.ContentType == "application/x-www-form-urlencoded" {
		head.ContentType = octetStream
	}
	return head
}

// octetStream is the type of a body of which nothing is known.
const octetStream = "application/octet-stream"

// A source is the body of a producer for package pipe. It enforces the limit, takes the first part of a multipart upload,
// and returns different errors for a malformed body and a client that hangs up. The goroutine that reads it owns it. head
// is complete, and constant, when the first Read has returned.
type source struct {
	head pipe.Head

	body io.Reader // of the request
	left int64     // bytes of body that are still allowed
	err  error     // that ended body; io.EOF after all of it

	// whole is set before Read returns io.EOF: the whole body is in hand. Any goroutine may load it.
	whole atomic.Bool

	form *multipartForm // nil unless the body is a multipart upload
}

// A multipartForm is what a multipart upload needs besides its body.
type multipartForm struct {
	parts   *multipart.Reader
	part    *multipart.Part // the first one; nil until it begins
	tail    tail            // of the body
	maxHead int64           // bytes of the body in which the first part has to begin
	read    int64           // bytes of the body so far
}

// setSource makes s the source of r's body, and sets the length and the head of the arrival, or returns the error for the
// client. The head of a part may be as large as the head of a request: it becomes the head of a response, and proxies limit the
// size of that.
func (l *Relay) setSource(s *source, r *Request, body io.Reader, a *pipe.Arrival) *reply.Error {
	a.Head = &s.head
	s.body, s.left = body, cmp.Or(l.config.MaxBody, math.MaxInt64)
	if r.Posts {
		return s.setPosted(r, a)
	}
	contentType := r.Header.Get("Content-Type")
	if r.Target != "" || !isMultipart(contentType) { // a worker gets a form as it is
		s.head, a.Length = newHead(&r.Header), r.Length
		return nil
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest,
			Text: "the Content-Type multipart/form-data names no usable boundary, so its first part cannot be found"}
	}
	s.head, a.Length = newHead(new(http1.Header)), -1
	s.form = &multipartForm{
		parts:   multipart.NewReader(bodyReader{s}, params["boundary"]),
		tail:    tail{want: "--" + params["boundary"]},
		maxHead: int64(l.config.MaxHeader),
	}
	return nil
}

// isMultipart reports whether a body of that type is a form of parts.
func isMultipart(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data")
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.form == nil {
		n, err = s.readBody(p)
	} else {
		n, err = s.readPart(p)
	}
	if err == io.EOF {
		s.whole.Store(true)
	}
	return n, err
}

// readBody reads the request's body.
func (s *source) readBody(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.body.Read(p)
	if s.form != nil {
		s.form.read += int64(n)
		s.form.tail.add(p[:n])
	}
	if s.left -= int64(n); s.left < 0 {
		n, err = n+int(s.left), pipe.TooLarge
		s.left = 0
	} else if err != nil && err != io.EOF && !fromConnection(err) {
		err = fmt.Errorf("%w: %w", pipe.ProducerLeft, err)
	}
	s.err = err
	return n, err
}

// A bodyReader is a source's readBody as an io.Reader, with a limit for the bytes before the content of the first part.
type bodyReader struct{ s *source }

func (b bodyReader) Read(p []byte) (int, error) {
	if b.s.form.part != nil {
		return b.s.readBody(p)
	}
	left := b.s.form.maxHead - b.s.form.read
	if left <= 0 && len(p) > 0 {
		return 0, fmt.Errorf("the header of its first part is larger than --max-header (%d bytes)", b.s.form.maxHead)
	}
	return b.s.readBody(p[:min(int64(len(p)), left)])
}

// readPart reads the first part. It also reads and drops what follows, so that the producer is answered only at the end of
// its body.
func (s *source) readPart(p []byte) (int, error) {
	f := s.form
	if f.part == nil {
		part, err := f.parts.NextRawPart() // raw: the bytes are never changed
		if err != nil {
			return 0, s.partError(err)
		}
		whole := s.head
		own := http1.HeaderOf(part.Header)
		f.part, s.head = part, newHead(&own)
		s.head.Request = whole.Request
		rare, outer := *s.head.Rare(), whole.Rare()
		rare.LengthAtMost, rare.Authorization, rare.Answer = outer.LengthAtMost, outer.Authorization, outer.Answer
		s.head.SetRare(&rare)
	}
	n, err := f.part.Read(p)
	if err == nil || n > 0 {
		return n, nil // the next Read returns the error again
	}
	if err != io.EOF {
		return 0, s.partError(err)
	}
	if _, err := io.Copy(io.Discard, bodyReader{s}); err != nil {
		return 0, err
	}
	if string(f.tail.last) == f.tail.want { // multipart.Reader takes this for the end of the part
		return 0, s.partError(errors.New("the multipart body ends within a boundary"))
	}
	return 0, io.EOF
}

// A tail keeps the last bytes that were added to it, as many as want has.
type tail struct {
	want string
	last []byte
}

func (t *tail) add(p []byte) {
	t.last = append(t.last, p[max(0, len(p)-len(t.want)):]...)
	t.last = append(t.last[:0], t.last[max(0, len(t.last)-len(t.want)):]...)
}

// partError returns why a part cannot be read: reading the body failed, or the body is malformed.
func (s *source) partError(err error) error {
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) { // the latter: of the line that should be a boundary
		err = errors.New("it has no part that begins with the boundary in its Content-Type")
	}
	s.err = fmt.Errorf("%w: %w", pipe.ProducerLeft, err)
	return s.err
}

// explain returns one line for the client about a malformed body, or otherwise if there is nothing to add.
func (s *source) explain(otherwise string) string {
	if s.err == nil || s.err == io.EOF || fromConnection(s.err) {
		return otherwise
	}
	line, _, _ := strings.Cut(s.err.Error(), "\n")
	return "the body is malformed: " + strings.TrimPrefix(line, string(pipe.ProducerLeft)+": ")
}

// fromConnection reports whether an error of a body comes from the connection, not from what was sent on it.
func fromConnection(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrBodyReadAfterClose)
}
