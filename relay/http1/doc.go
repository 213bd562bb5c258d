// Package http1 is the wire format of the relay path. It reads request heads and chunked bodies, and writes response
// heads and chunks, as HTTP/1.1 and 1.0 (RFC 9112) define them. It works on bytes in memory: it does no I/O, starts no
// goroutine, and sets no deadline.
//
// # A request
//
//	Parser.Parse(data, &head)    data: the bytes of the connection, from the first byte of the request on
//	  n, nil             head is filled, with its fields in a Header; the body, or the next request, begins at data[n]
//	  0, ErrIncomplete   read more behind data, and call Parse again
//	  n, ErrNotPlain     a request for net/http, with all of data[n:]
//	  0, *Error          answer with Status, 400 or 431, and Reason, and close the connection
//
//	head.Chunked               ChunkReader.Decode, or Next, until io.EOF
//	head.ContentLength > 0     so many bytes
//	otherwise                  no body. An HTTP/1.0 client may still send one that ends with the connection; a server
//	                           that expects a body must refuse that (411).
//
// # A response
//
//	AppendStatus, AppendField..., HeadEnd    a head; or AppendResponse for all of it
//	AppendChunkHead, data, ChunkEnd          a chunk; LastChunk ends the body
//
// # What Parse takes
//
// Parse takes a plain subset of HTTP. A fuzz test checks that http.ReadRequest reads each request that Parse takes in
// the same way. A request falls into one of three classes:
//
//   - Taken: GET, POST, PUT, DELETE or HEAD; one space; a path, with an optional query, of characters that a URL
//     carries unescaped; one space; HTTP/1.1 or HTTP/1.0. Then the fields: a name, which is a token, a colon, and a
//     value. Each line ends with CRLF. Up to two empty lines before the first line are skipped.
//   - Refused with 400, because two programs could read the request differently: a line in another form, with a bare
//     CR or LF, with NUL or another control character, with a blank before the colon, or folded; Content-Length
//     together with Transfer-Encoding, twice, or not 1 to 18 digits; a Transfer-Encoding other than one chunked, or in
//     HTTP/1.0; a Host that is malformed, sent twice, or missing in HTTP/1.1. Refused with 400 too: a target that is not
//     a URL, such as a path with an invalid percent-encoding. Refused with 431: a head of more than MaxHead bytes or 256 fields.
//   - Not plain: other methods and versions; escapes in the path, and targets in another form; a Connection other than
//     one close or keep-alive; Upgrade; Trailer; an Expect other than one 100-continue.
//
// A request is refused first: one that is not plain has passed all of these checks.
//
// # Chunks
//
// The size of a chunk is 1 to 15 hexadecimal digits. Blanks and extensions behind it, up to 4 KiB for each chunk, and
// the trailer, up to 8 KiB, are checked and dropped. Each line ends with CRLF. Half a chunk is handed out when it comes.
//
// # Memory
//
// Parse copies a head once, into one string that all strings of a [Head] share, so the caller can reuse its buffer.
// Nothing else allocates, except for append and the arrays that a new Parser and a new Head need.
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
