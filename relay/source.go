package relay

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// newHead reads the headers of a request, or of a part of one.
func newHead(h textproto.MIMEHeader) pipe.Head {
	head := pipe.Head{
		ContentType:        h.Get("Content-Type"),
		ContentDisposition: h.Get("Content-Disposition"),
		ContentEncoding:    strings.Join(h["Content-Encoding"], ", "),
		ContentLanguage:    strings.Join(h["Content-Language"], ", "),
	}
	// curl -d sends this type with any data, so it carries no information.
	if head.ContentType == "" || head.ContentType == "application/x-www-form-urlencoded" {
		head.ContentType = "application/octet-stream"
	}
	return head
}

// A source is a producer's body as the relay reads it: within the limit, the first part of a multipart
// upload, and with errors that tell a malformed body from a client that left. Owned by the goroutine
// that reads it; head is complete, and constant, once the first Read has returned.
type source struct {
	head   pipe.Head
	length int64 // announced; -1: unknown

	body  io.Reader // the request's
	limit int64     // bytes of body allowed; 0: any
	read  int64     // bytes of body so far
	err   error     // what ended body; io.EOF after all of it

	parts   *multipart.Reader // of a multipart upload, else nil
	part    *multipart.Part   // the first; nil until it has begun
	maxHead int64             // bytes of the body in which the first part has to begin
}

// newSource returns the source of r's body, or why r can have none. The header of a part may have as many bytes as the
// head of a request, maxHead: it becomes the head of a response, which is then no larger than proxies expect.
func newSource(r *http.Request, limit int64, maxHead int) (*source, *reply.Error) {
	s := &source{body: r.Body, limit: limit, maxHead: int64(maxHead)}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		s.head, s.length = newHead(textproto.MIMEHeader(r.Header)), r.ContentLength
		return s, nil
	}
	if err != nil || params["boundary"] == "" {
		return nil, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest,
			Text: "the Content-Type multipart/form-data names no usable boundary, so its first part cannot be found"}
	}
	s.head, s.length = newHead(nil), -1
	s.parts = multipart.NewReader(bodyReader{s}, params["boundary"])
	return s, nil
}

func (s *source) Read(p []byte) (int, error) {
	if s.parts == nil {
		return s.readBody(p)
	}
	return s.readPart(p)
}

// readBody reads the request's body.
func (s *source) readBody(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.body.Read(p)
	s.read += int64(n)
	if over := s.read - s.limit; s.limit > 0 && over > 0 {
		n, err = n-int(over), pipe.TooLarge
		s.read = s.limit
	} else if err != nil && err != io.EOF && !gone(err) {
		err = fmt.Errorf("%w: %w", pipe.ProducerLeft, err)
	}
	s.err = err
	return n, err
}

// bodyReader is a source's readBody as an io.Reader, with a limit for what comes before the first part's content.
type bodyReader struct{ s *source }

func (b bodyReader) Read(p []byte) (int, error) {
	if b.s.part != nil {
		return b.s.readBody(p)
	}
	left := b.s.maxHead - b.s.read
	if left <= 0 && len(p) > 0 {
		return 0, fmt.Errorf("the header of its first part is larger than --max-header (%d bytes)", b.s.maxHead)
	}
	return b.s.readBody(p[:min(int64(len(p)), left)])
}

// readPart reads the first part. What follows it is read too, and dropped, so that the producer has its
// answer only when its body is at its end.
func (s *source) readPart(p []byte) (int, error) {
	if s.part == nil {
		part, err := s.parts.NextRawPart() // raw: the bytes are never changed
		if err != nil {
			return 0, s.partError(err)
		}
		s.part, s.head = part, newHead(part.Header)
	}
	n, err := s.part.Read(p)
	if err == nil || n > 0 {
		return n, nil // an error comes again
	}
	if err != io.EOF {
		return 0, s.partError(err)
	}
	if _, err := io.Copy(io.Discard, bodyReader{s}); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// partError is why a part cannot be read: because its body cannot, or because that is malformed.
func (s *source) partError(err error) error {
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	if err == io.EOF {
		err = errors.New("the multipart body has no part")
	}
	s.err = fmt.Errorf("%w: %w", pipe.ProducerLeft, err)
	return s.err
}

// complaint returns one line about a malformed body, or the text otherwise if no cause is known.
func (s *source) complaint(otherwise string) string {
	if s.err == nil || s.err == io.EOF || gone(s.err) {
		return otherwise
	}
	line, _, _ := strings.Cut(s.err.Error(), "\n")
	return "the body is malformed: " + strings.TrimPrefix(line, string(pipe.ProducerLeft)+": ")
}

// gone reports whether a body's error comes from its connection, not from what was sent on it.
func gone(err error) bool {
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrBodyReadAfterClose) || errors.As(err, &network)
}
