package http1

import (
	"iter"
	"strings"
)

// A Head is the head of a request. Its strings share one copy of the head, and stay valid when the Head is reused.
type Head struct {
	Header // the next Parse into this Head reuses the array of its Fields

	Method string // GET, POST, PUT, DELETE or HEAD
	Target string // as it was sent: it begins with a slash
	Path   string // of Target, up to the first question mark
	Query  string // of Target, after the first question mark
	Minor  int    // of the version, HTTP/1.1 or HTTP/1.0
	Host   string // "" if the client sent none, or an empty one

	// Lines are all field lines as they were sent, each with its CRLF. EachField yields their fields.
	Lines string

	ContentLength  int64 // -1 if none is declared
	Chunked        bool
	Close          bool // the client expects the connection to end after the response
	ExpectContinue bool // the client waits for 100 Continue, in HTTP/1.1 and before a body
}

// BodyLength returns the length of the body: 0 if there is none, -1 if it is chunked and its length unknown.
func (h *Head) BodyLength() int64 {
	if h.Chunked {
		return -1
	}
	return max(h.ContentLength, 0)
}

// fill makes h of the text of a whole head that p has checked.
func (h *Head) fill(text string, p *progress, spans []span) {
	clear(h.Fields)
	*h = Head{
		Header:         Header{Fields: h.Fields[:0]},
		Method:         text[:p.targetStart-1],
		Target:         text[p.targetStart:p.targetEnd],
		Minor:          p.minor,
		ContentLength:  -1,
		Chunked:        p.codings > 0,
		ExpectContinue: p.expects > 0 && p.minor == 1 && (p.codings > 0 || p.length > 0),
		Close:          p.closes || p.minor == 0 && !p.keepsAlive,
	}
	if p.lengths > 0 {
		h.ContentLength = p.length
	}
	h.Path, h.Query, _ = strings.Cut(h.Target, "?")
	if n := len(spans); cap(h.Fields) < n || cap(h.Fields) > maxKept && n < maxKept {
		h.Fields = make([]Field, 0, n)
	}
	if len(spans) > 0 {
		h.Lines = text[spans[0].name-p.start : len(text)-len("\r\n")]
	}
	for _, f := range spans {
		h.add(Field{text[f.name-p.start : f.nameEnd-p.start], text[f.value-p.start : f.valueEnd-p.start]})
	}
	h.Host = h.Get("Host")
}

// EachField yields the fields of lines, each of which ends with CRLF.
func EachField(lines string) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for line := range strings.Lines(lines) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ":")
			if !yield(Field{name, trim(value)}) {
				return
			}
		}
	}
}

// maxKept is how many fields a Head keeps room for when it is reused.
const maxKept = 32
