package http1

import (
	"bytes"
	"errors"
	"net/url"
)

// ErrIncomplete and ErrNotPlain are what Parse returns for a head that it neither takes nor refuses.
var (
	ErrIncomplete = errors.New("the head has not come whole")
	ErrNotPlain   = errors.New("the request is for net/http")
)

var (
	errBareLF      = malformed("a line of the request's head ends with LF; end each line with CRLF")
	errControl     = malformed("the request's head holds a control character, such as NUL or a CR without LF")
	errRequestLine = malformed("the first line of the request is not METHOD, target and HTTP/1.1, with one space between them")
	errTarget      = malformed("the target of the request is not a valid URL; in a path, two hexadecimal digits follow each %")
	errFieldName   = malformed("a header line does not begin with a name and a colon")
	errBlank       = malformed("a header has a blank between its name and the colon")
	errFold        = malformed("a header line begins with a blank; send each header on one line")
	errNoHost      = malformed("the request has no Host header, which HTTP/1.1 requires")
	errHost        = malformed("the Host header is not a host with an optional port")
	errHosts       = malformed("the request has more than one Host header")
	errBothLengths = malformed("the request has both Content-Length and Transfer-Encoding; send one of them")
	errLength      = malformed("the Content-Length header is not a number of 1 to 18 digits")
	errLengths     = malformed("the request has more than one Content-Length header")
	errCoding      = malformed("the Transfer-Encoding header is not one \"chunked\"")
	errCoding10    = malformed("the request has a Transfer-Encoding header, which HTTP/1.0 does not have")
	errHeadSize    = tooLarge("the request's head is too large")
	errFields      = tooLarge("the request has too many headers; at most 256 are taken")
)

// maxFields bounds the memory that a head of very short fields takes as a Head, which is eight times its own.
const maxFields = 256

// maxEmpty is how many bytes of empty lines are skipped before the request line (RFC 9112 2.2), as many as net/http's.
const maxEmpty = 4

// A Parser reads the heads of one connection, one after another. It is not safe for concurrent use.
type Parser struct {
	MaxHead int // the most bytes that a head may have, with the empty line at its end; set before the first Parse

	spans []span // of the fields of the head so far
	progress
}

// A progress is what the complete lines of a head have said so far, so that a head which comes in pieces is looked at
// once.
type progress struct {
	start   int // where the request line begins: behind empty lines
	line    int // where the next line begins
	scanned int // up to here there is no end of that line

	targetStart, targetEnd int // from start on; targetStart is 0 before the request line
	minor                  int // of HTTP/1; -1 in another version
	notPlain               bool

	hosts, lengths, codings, expects int // how many fields have that name
	connections                      int
	length                           int64
	closes, keepsAlive               bool
}

// A span is where the name and the value of a field are in data.
type span struct{ name, nameEnd, value, valueEnd int }

// Reset makes p ready for the next head, on this or another connection.
func (p *Parser) Reset() { p.progress, p.spans = progress{}, p.spans[:0] }

// Parse reads the head at the beginning of data, behind which other bytes may follow. The package's documentation lists
// what it returns, where n counts from the beginning of data. After ErrIncomplete the next call must be with the same
// bytes and more behind them, in this or another buffer; after any other result the Parser is ready for the next head.
// It fills head only if it returns nil, and keeps no reference to data.
func (p *Parser) Parse(data []byte, head *Head) (n int, err error) {
	for {
		line, err := p.next(data)
		if err == ErrIncomplete {
			return 0, err
		}
		if err == nil {
			switch {
			case p.targetStart == 0 && len(line) == 0:
				err = p.emptyLine()
			case p.targetStart == 0:
				err = p.requestLine(line)
			case len(line) > 0:
				err = p.field(line)
			default:
				return p.finish(data, head)
			}
		}
		if err != nil {
			p.Reset()
			return 0, err
		}
	}
}

// next returns the next line of the head without its CRLF.
func (p *Parser) next(data []byte) ([]byte, error) {
	i := bytes.IndexByte(data[p.scanned:], '\n')
	if i < 0 {
		if p.scanned = len(data); p.scanned >= p.MaxHead {
			return nil, errHeadSize
		}
		return nil, ErrIncomplete
	}
	end := p.scanned + i
	if end >= p.MaxHead {
		return nil, errHeadSize
	}
	line := data[p.line:end]
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return nil, errBareLF
	}
	p.line, p.scanned = end+1, end+1
	return line[:len(line)-1], nil
}

// finish decides about a head of which each line is well-formed.
func (p *Parser) finish(data []byte, head *Head) (n int, err error) {
	seen, spans := p.progress, p.spans
	p.Reset()
	if err := seen.framing(); err != nil {
		return 0, err
	}
	if seen.notPlain {
		if !isTarget(data[seen.start:][:seen.targetEnd], seen.targetStart) {
			return 0, errTarget
		}
		return seen.start, ErrNotPlain
	}
	head.fill(string(data[seen.start:seen.line]), &seen, spans)
	return seen.line, nil
}

// framing checks what the fields say together.
func (p *progress) framing() error {
	switch {
	case p.minor == 1 && p.hosts == 0:
		return errNoHost
	case p.codings > 0 && p.lengths > 0:
		return errBothLengths
	case p.codings > 0 && p.minor == 0:
		return errCoding10
	}
	return nil
}

// emptyLine skips an empty line before the request line: old clients send one behind the body of a POST.
func (p *progress) emptyLine() error {
	if p.start = p.line; p.start > maxEmpty {
		return errRequestLine
	}
	return nil
}

// requestLine reads the first line.
func (p *progress) requestLine(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	switch {
	case some(line, control):
		return errControl
	case len(method) == 0, !all(method, token), len(target) == 0, !isVersion(version):
		return errRequestLine
	}
	p.targetStart = len(method) + 1
	p.targetEnd = p.targetStart + len(target)
	switch string(version) {
	case "HTTP/1.1":
		p.minor = 1
	case "HTTP/1.0":
	default:
		p.minor, p.notPlain = -1, true
	}
	switch string(method) {
	case "GET", "POST", "PUT", "DELETE", "HEAD":
	default:
		p.notPlain = true
	}
	before, behind, _ := bytes.Cut(target, []byte("?"))
	p.notPlain = p.notPlain || target[0] != '/' || !all(before, plain) || !all(behind, query)
	return nil
}

// isTarget reports whether net/http can read the target that begins at start in a request line. Parse asks only for a request
// that is not plain, and refuses an invalid target itself, because net/http would answer with an error in another form.
func isTarget(line []byte, start int) bool {
	if line[start] == '/' && bytes.IndexByte(line, '%') < 0 {
		return true
	}
	target := string(line[start:])
	if line[start] != '/' && string(line[:start-1]) == "CONNECT" {
		target = "http://" + target
	}
	_, err := url.ParseRequestURI(target)
	return err == nil
}

// isVersion reports whether b is HTTP/ with two digits.
func isVersion(b []byte) bool {
	digits, ok := bytes.CutPrefix(b, []byte("HTTP/"))
	return ok && len(digits) == 3 && isDigit(digits[0]) && digits[1] == '.' && isDigit(digits[2])
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
