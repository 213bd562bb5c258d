package relay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	// maxChunkLine bounds a chunk's size line with its extensions, and a line of the trailer.
	maxChunkLine = 4 << 10
	// chunkBuffer is how much a chunkReader reads at once from a fast stream. Chunks can be small, and without a buffer for
	// several of them each would cost a read and a write.
	chunkBuffer = 256 << 10
	// fastRead is the size of a read that only fast streams ask for.
	fastRead = 64 << 10
	// maxTrailer bounds the lines after the last chunk, which are dropped.
	maxTrailer = 64
)

var (
	errChunkSize = errors.New("malformed chunked encoding: a chunk's size is not a hexadecimal number")
	errChunkEnd  = errors.New("malformed chunked encoding: a line does not end, or not where it should")
	errChunkLine = errors.New("malformed chunked encoding: a line is too long")
	errField     = errors.New("malformed chunked encoding: a line of the trailer is not a header field")
	errTrailer   = errors.New("malformed chunked encoding: the trailer is too long")
)

// A chunkReader reads a chunked body (RFC 9112, section 7.1). It returns the bytes that have arrived, and does not wait for
// more of them. Its errors are sticky. A body that ends early is io.ErrUnexpectedEOF.
type chunkReader struct {
	r     *bufio.Reader
	left  uint64 // bytes of the current chunk that have not been read
	begun bool   // there was a chunk before, whose line end is still to be read
	err   error
}

func (c *chunkReader) Read(p []byte) (n int, err error) {
	if len(p) > fastRead && c.r.Size() < chunkBuffer {
		c.r = bufio.NewReaderSize(c.r, chunkBuffer) // which reads past the small one once that is empty
	}
	for c.err == nil {
		if c.left == 0 {
			if n > 0 && !c.lineWaits() {
				break
			}
			c.err = c.next()
			continue
		}
		if n == len(p) || n > 0 && c.r.Buffered() == 0 {
			break
		}
		var read int
		read, c.err = c.r.Read(p[n:min(uint64(len(p)), uint64(n)+c.left)])
		if c.err == io.EOF {
			c.err = io.ErrUnexpectedEOF
		}
		n += read
		c.left -= uint64(read)
	}
	return n, c.err
}

// lineWaits reports whether the next chunk's line, and after the last one the end of the body, is in the
// buffer, so that next does not block.
func (c *chunkReader) lineWaits() bool {
	buffered, _ := c.r.Peek(c.r.Buffered())
	line, rest, found := bytes.Cut(bytes.TrimPrefix(buffered, []byte("\r\n")), []byte("\n"))
	mayEnd := bytes.HasPrefix(line, []byte("0")) // then next reads the trailer, too
	return found && (!mayEnd || bytes.HasPrefix(rest, []byte("\r\n")) || bytes.Contains(rest, []byte("\r\n\r\n")))
}

// next reads up to the next chunk's bytes. After the last one it returns io.EOF.
func (c *chunkReader) next() error {
	if c.begun {
		line, err := c.line()
		if err != nil {
			return err
		}
		if len(line) > 0 {
			return errChunkEnd
		}
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	c.begun = true
	size, _, _ := bytes.Cut(bytes.TrimRight(line, " \t"), []byte(";")) // what follows are extensions
	if len(size) == 0 || len(size) > 16 || bytes.ContainsAny(size, "+-_xX") {
		return errChunkSize
	}
	if c.left, err = strconv.ParseUint(string(size), 16, 63); err != nil {
		return errChunkSize
	}
	if c.left > 0 {
		return nil
	}
	for range maxTrailer {
		line, err := c.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return io.EOF
		}
		if name, _, colon := bytes.Cut(line, []byte(":")); !colon || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return errField
		}
	}
	return errTrailer
}

// line reads a line and returns it without its end, valid until the next read.
func (c *chunkReader) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull || len(line) > maxChunkLine:
		return nil, errChunkLine
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	line, ended := bytes.CutSuffix(line, []byte("\r\n"))
	if !ended || bytes.IndexByte(line, '\r') >= 0 {
		return nil, errChunkEnd
	}
	return line, nil
}
