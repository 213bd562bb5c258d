// Package http1 is the wire format of the relay path: it reads request heads and chunked bodies, and writes response
// heads and chunks, as HTTP/1.1 and 1.0 (RFC 9112) define them. It works on bytes that the caller has read, and on
// bytes that the caller will write. It does no I/O, starts no goroutine, and sets no deadline.
//
// # A request
//
//	Parser.Parse(data, &head)      data: the connection's bytes, from the first byte of the request on
//	  n, nil             head is filled, and its body, or the next request, begins at data[n]
//	  0, ErrIncomplete   read more behind data, and call again
//	  n, ErrNotPlain     a request for net/http, with all of data[n:]
//	  0, *Error          answer with its Status, 400 or 431, and close the connection
//
//	head.Chunked             → ChunkReader.Decode or Next until io.EOF
//	head.ContentLength > 0   → so many bytes
//	otherwise                → no body; only in HTTP/1.0 can a body of unknown length follow, which a server refuses
//
// # What Parse takes
//
// Parse takes a plain subset of HTTP, and http.ReadRequest reads whatever Parse takes in the same way: that is fuzzed.
// Each request falls into one of three classes.
//
//   - Taken: GET, POST, PUT, DELETE or HEAD, one space, a path with an optional query of characters that a URL carries
//     unescaped, one space, HTTP/1.1 or HTTP/1.0; then fields, a token with a colon and a value, each line with CRLF.
//     Up to two empty lines before all that are skipped.
//   - Refused with 400, because two programs could read it differently: a line that is not as above, with a bare CR or
//     LF, a NUL or another control character, a blank before the colon, or a folded field; Content-Length beside
//     Transfer-Encoding, twice, or not of 1 to 18 digits; Transfer-Encoding other than one chunked, or in HTTP/1.0; a
//     Host that is missing in HTTP/1.1, malformed, or there twice. Refused with 431: a head of more than MaxHead bytes
//     or of more than 256 fields.
//   - Not plain, but well-formed as far as Parse looks: other methods and versions, other targets and escapes; a
//     Connection other than one close or keep-alive; Upgrade; Trailer; an Expect other than one 100-continue.
//
// The refusals come first: a request that is not plain has passed them. Only its target can still be malformed.
//
// # Chunks
//
// A chunk's size is 1 to 15 hexadecimal digits. Blanks and extensions behind it, up to 4 KiB for each chunk, and the
// trailer, up to 8 KiB, are checked and dropped. Each line ends with CRLF. The reader holds
// nothing back: the part of a chunk that has come is handed out.
//
// # Memory
//
// A head is copied once, into one string that all strings of a [Head] share, so the caller can use its buffer again.
// The other functions do not allocate, beyond what append does.
package http1

// An Error is why bytes from a client are refused. The caller answers with it and closes the connection, because it
// does not know where the next request begins.
type Error struct {
	Status int    // 400 or 431
	Reason string // one line for the client
}

func (e *Error) Error() string { return e.Reason }

func malformed(reason string) *Error { return &Error{Status: 400, Reason: reason} }
func tooLarge(reason string) *Error  { return &Error{Status: 431, Reason: reason} }
