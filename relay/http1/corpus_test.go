package http1

import "strings"

// A headCase is a head and what Parse makes of it.
type headCase struct {
	name string
	head string
	err  error // nil: it is taken
}

// wrap returns a GET of HTTP/1.1 with these lines behind its Host.
func wrap(lines string) string { return "GET /a HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n" }

// headCases are one case or more for each rule of the package's documentation, and what request smuggling is made of.
var headCases = []headCase{
	{"a consumer", "GET /channels/v1/do_work HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n", nil},
	{"a producer", "POST /channels/v1/do_work HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\n", nil},
	{"bytes behind the head", wrap("") + "GET /b", nil},
	{"PUT", "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", nil},
	{"DELETE", "DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"HEAD", "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"1.0", "GET /a HTTP/1.0\r\n\r\n", nil},
	{"1.0 keep-alive", "POST /a HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n", nil},
	{"1.0 expects", "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", nil},
	{"a query", "GET /a?wait=25s&token=a.b-c_d?e HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"escapes in the query, and half of one", "GET /a?b=%20%zz% HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"an empty query", "GET /a? HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"two slashes", "GET //b/c HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"dot segments", "GET /a/../b/./c HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"no blank behind the colon", "GET /a HTTP/1.1\r\nhost:x\r\n\r\n", nil},
	{"blanks around a value", wrap("A: \t b\tc \t\r\n"), nil},
	{"empty values", "GET /a HTTP/1.1\r\nHost:\r\nA:\r\nB: \r\n\r\n", nil},
	{"values that are not ASCII", wrap("User-Agent: caf\xc3\xa9 \xff\r\n"), nil},
	{"a name twice", wrap("Accept: a\r\nACCEPT: b\r\n"), nil},
	{"every token character", wrap("!#$%&'*+-.^_`|~aZ09: b\r\n"), nil},
	{"close", wrap("Connection: Close\r\n"), nil},
	{"keep-alive", wrap("Connection: keep-alive\r\n"), nil},
	{"no body", wrap("Content-Length: 0\r\n"), nil},
	{"a large length", wrap("Content-Length: 999999999999999999\r\n"), nil},
	{"coding in another case", wrap("transfer-encoding: CHUNKED\r\n"), nil},
	{"IPv6", "GET /a HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n", nil},
	{"no-cache of old", wrap("Pragma: no-cache\r\n"), nil},
	{"an empty line first", "\r\n" + wrap(""), nil},
	{"two empty lines first", "\r\n\r\n" + wrap(""), nil},

	// For net/http.
	{"OPTIONS", "OPTIONS /a HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"a method in another case", "get /a HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrNotPlain},
	{"version 1.2", "GET /a HTTP/1.2\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"absolute-form", "GET http://other/a HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"asterisk-form", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"authority-form", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"an escape", "GET /%61 HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"a fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"a target that is not ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},
	{"two connection options", wrap("Connection: close, keep-alive\r\n"), ErrNotPlain},
	{"two Connection lines", wrap("Connection: close\r\nConnection: close\r\n"), ErrNotPlain},
	{"a hop-by-hop name", wrap("Connection: X-Real-IP\r\n"), ErrNotPlain},
	{"an empty Connection", wrap("Connection:\r\n"), ErrNotPlain},
	{"Upgrade", wrap("Upgrade: h2c\r\n"), ErrNotPlain},
	{"Trailer", wrap("Trailer: X\r\n"), ErrNotPlain},
	{"another expectation", wrap("Expect: 200-ok\r\n"), ErrNotPlain},
	{"two expectations", wrap("Expect: 100-continue\r\nExpect: 100-continue\r\n"), ErrNotPlain},
	{"an empty line and an OPTIONS", "\r\nOPTIONS /a HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain},

	// Incomplete.
	{"nothing", "", ErrIncomplete},
	{"no line", "GET /a HTTP/1.1", ErrIncomplete},
	{"half an end", "GET /a HTTP/1.1\r\nHost: x\r\n\r", ErrIncomplete},
	{"no end", "GET /a HTTP/1.1\r\nHost: x\r\n", ErrIncomplete},

	// Conflicting lengths.
	{"both lengths", wrap("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), errBothLengths},
	{"both lengths, the other order", wrap("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), errBothLengths},
	{"both lengths, not plain", "OPTIONS /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", errBothLengths},
	{"two lengths", wrap("Content-Length: 5\r\nContent-Length: 6\r\n"), errLengths},
	{"one length twice", wrap("Content-Length: 5\r\ncontent-length: 5\r\n"), errLengths},
	{"a list of lengths", wrap("Content-Length: 5, 5\r\n"), errLength},
	{"no length", wrap("Content-Length:\r\n"), errLength},
	{"a sign", wrap("Content-Length: +5\r\n"), errLength},
	{"a negative length", wrap("Content-Length: -5\r\n"), errLength},
	{"a hexadecimal length", wrap("Content-Length: 0x5\r\n"), errLength},
	{"a length with a blank", wrap("Content-Length: 5 5\r\n"), errLength},
	{"an underscore", wrap("Content-Length: 1_0\r\n"), errLength},
	{"19 digits", wrap("Content-Length: 0000000000000000005\r\n"), errLength},
	{"wide digits", wrap("Content-Length: \xef\xbc\x95\r\n"), errLength},
	{"identity", wrap("Transfer-Encoding: identity\r\n"), errCoding},
	{"gzip, chunked", wrap("Transfer-Encoding: gzip, chunked\r\n"), errCoding},
	{"chunked, identity", wrap("Transfer-Encoding: chunked, identity\r\n"), errCoding},
	{"chunked twice", wrap("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), errCoding},
	{"a quoted coding", wrap("Transfer-Encoding: \"chunked\"\r\n"), errCoding},
	{"a coding with a parameter", wrap("Transfer-Encoding: chunked;q=1\r\n"), errCoding},
	{"no coding", wrap("Transfer-Encoding:\r\n"), errCoding},
	{"a prefix of chunked", wrap("Transfer-Encoding: xchunked\r\n"), errCoding},
	{"a Kelvin sign", wrap("Transfer-Encoding: chun\u212aed\r\n"), errCoding},
	{"a vertical tab", wrap("Transfer-Encoding: \vchunked\r\n"), errControl},
	{"a coding in 1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errCoding10},

	// Lines.
	{"a bare LF", "GET /a HTTP/1.1\nHost: x\n\n", errBareLF},
	{"a bare LF at the end", "GET /a HTTP/1.1\r\nHost: x\r\n\n", errBareLF},
	{"a bare LF behind a field", "GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", errBareLF},
	{"a bare LF first", "\n" + wrap(""), errBareLF},
	{"a bare CR", wrap("A: b\rContent-Length: 5\r\n"), errControl},
	{"a CR too many", wrap("A: b\r\r\n"), errControl},
	{"a CR in the first line", "GET /a\r HTTP/1.1\r\nHost: x\r\n\r\n", errControl},
	{"three empty lines first", "\r\n\r\n\r\n" + wrap(""), errRequestLine},
	{"NUL in a value", wrap("A: b\x00c\r\n"), errControl},
	{"NUL in a name", wrap("A\x00: b\r\n"), errControl},
	{"NUL in the target", "GET /a\x00 HTTP/1.1\r\nHost: x\r\n\r\n", errControl},
	{"DEL", wrap("A: \x7f\r\n"), errControl},
	{"a folded field", wrap("A: b\r\n c\r\n"), errFold},
	{"a field folded with a tab", wrap("A: b\r\n\tTransfer-Encoding: chunked\r\n"), errFold},
	{"a folded coding", wrap("Transfer-Encoding:\r\n chunked\r\n"), errCoding},
	{"a blank first", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", errFold},
	{"a blank before the colon", wrap("Content-Length : 5\r\n"), errBlank},
	{"a tab before the colon", wrap("Transfer-Encoding\t: chunked\r\n"), errBlank},
	{"a blank in a name", wrap("Content Length: 5\r\n"), errFieldName},
	{"no name", wrap(": 5\r\n"), errFieldName},
	{"no colon", wrap("Content-Length 5\r\n"), errFieldName},
	{"a name that is not ASCII", wrap("Caf\xc3\xa9: b\r\n"), errFieldName},
	{"a name in brackets", wrap("(A): b\r\n"), errFieldName},

	// The request line.
	{"no version", "GET /a\r\nHost: x\r\n\r\n", errRequestLine},
	{"no target", "GET  HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"no method", " /a HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a blank too many", "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a blank at the end", "GET /a HTTP/1.1 \r\nHost: x\r\n\r\n", errRequestLine},
	{"a blank in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a tab between", "GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a blank before the method", " GET /a HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a method that is no token", "G@T /a HTTP/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a version in another case", "GET /a http/1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a version of two digits", "GET /a HTTP/1.10\r\nHost: x\r\n\r\n", errRequestLine},
	{"a version without a dot", "GET /a HTTP/1x1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a version with a sign", "GET /a HTTP/+1.1\r\nHost: x\r\n\r\n", errRequestLine},
	{"a status line", "HTTP/1.1 200 OK\r\n\r\n", errRequestLine},
	{"the end of a body", "0\r\n\r\n", errRequestLine},
	{"an invalid percent-encoding", "GET /a/%zz HTTP/1.1\r\nHost: x\r\n\r\n", errTarget},
	{"an invalid percent-encoding, absolute-form", "GET http://x/% HTTP/1.1\r\nHost: x\r\n\r\n", errTarget},
	{"an invalid percent-encoding, authority-form", "CONNECT %:443 HTTP/1.1\r\nHost: x\r\n\r\n", errTarget},
	{"a relative target", "GET a HTTP/1.1\r\nHost: x\r\n\r\n", errTarget},

	// Host.
	{"no Host", "GET /a HTTP/1.1\r\n\r\n", errNoHost},
	{"no Host, not plain", "OPTIONS /a HTTP/1.1\r\n\r\n", errNoHost},
	{"two Hosts", wrap("host: x\r\n"), errHosts},
	{"two Hosts in 1.0", "GET /a HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", errHosts},
	{"a Host with a path", "GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n", errHost},
	{"a Host with a user", "GET /a HTTP/1.1\r\nHost: a@x\r\n\r\n", errHost},
	{"a list of Hosts", "GET /a HTTP/1.1\r\nHost: x y\r\n\r\n", errHost},

	// Sizes, with a MaxHead of testMaxHead.
	{"as large as may be", padded(testMaxHead), nil},
	{"a byte too large", padded(testMaxHead + 1), errHeadSize},
	{"a line that may still end", "GET /" + strings.Repeat("a", testMaxHead-6), ErrIncomplete},
	{"a line without an end", "GET /" + strings.Repeat("a", testMaxHead-5), errHeadSize},
	{"as many fields as may be", wrap(strings.Repeat("A:\r\n", maxFields-1)), nil},
	{"a field too many", wrap(strings.Repeat("A:\r\n", maxFields)), errFields},
}

// testMaxHead is the MaxHead of the tests.
const testMaxHead = 4 << 10

// padded returns a head of size bytes.
func padded(size int) string {
	empty := wrap("A: \r\n")
	return wrap("A: " + strings.Repeat("a", size-len(empty)) + "\r\n")
}
