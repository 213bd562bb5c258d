package relay

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// A streamForm is the way in which a stream carries messages: a pipe.Form.
type streamForm struct {
	kind    streamKind
	chunked bool // in one chunk each; otherwise as they are, for HTTP/1.0
}

// A streamKind is what a client asks of a topic.
type streamKind int8

const (
	oneMessage streamKind = iota // no stream
	eventStream
	jsonLines
	rawBytes
)

// The media types of streams.
const (
	eventStreamType = "text/event-stream"
	jsonLinesType   = "application/x-ndjson"
)

// kindOf returns what a GET of a topic asks for. ?follow decides over Accept: so an EventSource can follow a publisher that
// writes events itself, as with patchbay.
func kindOf(r *Request) streamKind {
	persist := r.parameter("persist")
	follow := hasParameter(r.Query, "follow") || len(persist) > 0 && persist[0] == "true"
	accept := r.Header.Joined("Accept")
	if !follow && accept == eventStreamType { // as an EventSource sends it
		return eventStream
	}
	events, lines := reply.Quality(accept, eventStreamType), reply.Quality(accept, jsonLinesType)
	switch {
	case follow:
		return rawBytes
	case events > 0 && events >= lines:
		return eventStream
	case lines > 0:
		return jsonLines
	}
	return oneMessage
}

// Encode implements pipe.Form.
func (f streamForm) Encode(p *pipe.Publication) []byte {
	text := p.Body
	switch f.kind {
	case eventStream:
		text = event(p)
	case jsonLines:
		text = jsonLine(p)
	}
	if f.chunked {
		return asChunk(text)
	}
	return text
}

// asChunk returns text as one chunk, or nothing if it is empty: an empty chunk would end the response.
func asChunk(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	b := make([]byte, 0, len(text)+24)
	b = http1.AppendChunkHead(b, len(text))
	return append(append(b, text...), http1.ChunkEnd...)
}

// event returns a message as a server-sent event: in base64 if the lines of an event would change it.
func event(p *pipe.Publication) []byte {
	body := p.Body
	b := make([]byte, 0, len(body)+len(body)/8+128)
	b = append(append(append(b, "id: "...), p.ID...), '\n')
	if !utf8.Valid(body) || bytes.IndexByte(body, '\r') >= 0 || bytes.IndexByte(body, 0) >= 0 {
		b = append(b, "event: base64\ndata: "...)
		b = base64.StdEncoding.AppendEncode(b, body)
		return append(b, "\n\n"...)
	}
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		b = append(append(append(b, "data: "...), line...), '\n')
	}
	return append(b, '\n')
}

// missedEvent returns the event with the number of messages that a client missed, or "unknown". newest is "" if that is
// unknown.
func missedEvent(count, newest string) []byte {
	b := []byte("event: missed\n")
	if newest != "" {
		b = append(append(append(b, "id: "...), newest...), '\n')
	}
	return append(append(append(b, "data: "...), count...), "\n\n"...)
}

// jsonLine returns a message as a JSON object on a line.
func jsonLine(p *pipe.Publication) []byte {
	line := struct {
		ID          string  `json:"id"`
		PublishedAt string  `json:"published_at"`
		ContentType string  `json:"content_type"`
		Text        *string `json:"text,omitempty"`
		Base64      []byte  `json:"base64,omitempty"`
	}{ID: p.ID, PublishedAt: pipe.Timestamp(p.PublishedAt), ContentType: p.Head.ContentType}
	if utf8.Valid(p.Body) {
		text := string(p.Body)
		line.Text = &text
	} else {
		line.Base64 = p.Body
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		panic(err) // strings always marshal
	}
	return b.Bytes()
}

// comments keep proxies from cutting idle streams. A stream of raw bytes cannot carry one.
var comments = map[streamForm][]byte{
	{eventStream, false}: []byte(":\n\n"),
	{eventStream, true}:  asChunk([]byte(":\n\n")),
	{jsonLines, false}:   []byte("\n"),
	{jsonLines, true}:    asChunk([]byte("\n")),
}
