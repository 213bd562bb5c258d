package http1

import "io"

const (
	maxSizeDigits = 15
	maxExtensions = 4 << 10 // bytes behind the size of one chunk
	maxTrailer    = 8 << 10 // bytes behind the line of the last chunk
)

var (
	errChunkSize    = malformed("malformed chunked body: a chunk's size is not 1 to 15 hexadecimal digits")
	errChunkLine    = malformed("malformed chunked body: a line does not end with CRLF, or holds a control character")
	errChunkEnd     = malformed("malformed chunked body: a chunk is longer than its size, or has no CRLF behind it")
	errExtensions   = malformed("malformed chunked body: a chunk's extensions are too long")
	errTrailerLine  = malformed("malformed chunked body: a line of the trailer does not begin with a name and a colon")
	errTrailerBytes = malformed("malformed chunked body: the trailer is too long")
)

// A ChunkReader reads the chunked body of one request. The zero value is ready for the first byte of the body. It is
// not safe for concurrent use.
type ChunkReader struct {
	state chunkState
	count int   // digits of the size, or bytes of the extensions or of the trailer
	left  int64 // the size as far as it is read; in chunkData what is left of the chunk
	err   error // io.EOF after the last chunk's trailer; sticky
}

// A chunkState is what the next byte of a body is.
type chunkState uint8

const (
	chunkSize      chunkState = iota // a digit of the size, or what follows it
	chunkBlank                       // a blank behind the size, or what follows it
	chunkExtension                   // a byte of the extensions, or the CR behind them
	chunkSizeLF                      // the LF of the size's line
	chunkData                        // a byte of the body
	chunkDataCR                      // the CR behind the data
	chunkDataLF                      // its LF
	trailerLine                      // the first byte of a line of the trailer, or the CR of the empty line
	trailerName                      // another byte of a name, or the colon
	trailerValue                     // a byte of a value, or the CR behind it
	trailerLF                        // the LF of a line
	trailerEnd                       // the LF of the empty line
)

// Next reads on in data. It returns the next piece of the body, which is a part of data, and how many bytes of data it
// has used. It stops behind a piece of one chunk, so the caller calls it again with data[n:] as long as that is not
// empty. Without a piece and an error it has used all of data. The error is io.EOF at the body's end, where data[n:]
// belongs to the next request, or an *Error.
func (c *ChunkReader) Next(data []byte) (body []byte, n int, err error) {
	for c.err == nil && n < len(data) {
		if c.state == chunkData {
			body = data[n : n+int(min(int64(len(data)-n), c.left))]
			if c.left -= int64(len(body)); c.left == 0 {
				c.state = chunkDataCR
			}
			return body, n + len(body), nil
		}
		c.err = c.step(data[n])
		n++
	}
	return nil, n, c.err
}

// Decode is like Next, but reads all of data up to the body's end. It moves the pieces together at the beginning of
// data, so that they can be written at once. With an error it still returns the pieces before it.
func (c *ChunkReader) Decode(data []byte) (body []byte, n int, err error) {
	length := 0
	for err = c.err; err == nil && n < len(data); {
		var piece []byte
		var used int
		piece, used, err = c.Next(data[n:])
		n += used
		length += copy(data[length:], piece)
	}
	return data[:length], n, err
}

// step reads one byte that is not data.
func (c *ChunkReader) step(b byte) error {
	switch c.state {
	case chunkSize, chunkBlank, chunkExtension:
		return c.sizeLine(b)
	case chunkSizeLF:
		if b != '\n' {
			return errChunkLine
		}
		c.count = 0
		if c.state = chunkData; c.left == 0 {
			c.state = trailerLine
		}
	case chunkDataCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state = chunkSize
	default:
		return c.trailer(b)
	}
	return nil
}

// sizeLine reads a byte of a chunk's size or of what follows it.
func (c *ChunkReader) sizeLine(b byte) error {
	class := classOf[b]
	switch {
	case c.state == chunkSize && class&hex != 0:
		if c.count++; c.count > maxSizeDigits {
			return errChunkSize
		}
		c.left = c.left<<4 | hexValue(b)
		return nil
	case c.state == chunkSize && c.count == 0:
		return errChunkSize
	case b == '\r':
		c.state = chunkSizeLF
		return nil
	case c.state != chunkExtension && b != ';' && !isBlank(b):
		return errChunkSize
	case class&control != 0:
		return errChunkLine
	case c.state == chunkSize:
		c.state, c.count = chunkBlank, 0
	}
	if b == ';' {
		c.state = chunkExtension
	}
	if c.count++; c.count > maxExtensions {
		return errExtensions
	}
	return nil
}

// trailer reads a byte behind the line of the last chunk.
func (c *ChunkReader) trailer(b byte) error {
	if c.count++; c.count > maxTrailer {
		return errTrailerBytes
	}
	isName := classOf[b]&token != 0
	switch {
	case c.state == trailerEnd && b == '\n':
		return io.EOF
	case c.state == trailerLF && b == '\n':
		c.state = trailerLine
	case c.state == trailerEnd, c.state == trailerLF:
		return errChunkLine
	case c.state == trailerLine && b == '\r':
		c.state = trailerEnd
	case c.state == trailerLine && isName:
		c.state = trailerName
	case c.state == trailerName && b == ':':
		c.state = trailerValue
	case c.state == trailerLine, c.state == trailerName && !isName:
		return errTrailerLine
	case c.state == trailerValue && b == '\r':
		c.state = trailerLF
	case c.state == trailerValue && classOf[b]&control != 0:
		return errChunkLine
	}
	return nil
}

func hexValue(b byte) int64 {
	if isDigit(b) {
		return int64(b - '0')
	}
	return int64(lower(b)-'a') + 10
}
