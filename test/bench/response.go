//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// A head is what the load generator wants to know of the beginning of a response.
type head struct {
	size    int // in bytes, with the empty line
	status  int
	length  int64 // of the body; -1 if it is not said
	chunked bool
}

var (
	endOfHead     = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
	chunkedBody   = []byte("\r\nTransfer-Encoding: chunked\r\n")
)

// parseHead looks at what has come of a response so far. It returns false if the head is not yet complete. The headers
// are expected as Go servers spell them.
func parseHead(b []byte) (h head, whole bool, err error) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		return h, false, nil
	}
	h.size = end + len(endOfHead)
	b = b[:end+2]
	if len(b) < len("HTTP/1.1 200\r\n") || string(b[:len("HTTP/1.1 ")]) != "HTTP/1.1 " {
		return h, true, fmt.Errorf("not a response: %q", b)
	}
	if h.status, err = strconv.Atoi(string(b[9:12])); err != nil {
		return h, true, fmt.Errorf("not a status: %q", b)
	}
	h.chunked = bytes.Contains(b, chunkedBody)
	h.length = -1
	if _, value, found := bytes.Cut(b, contentLength); found {
		value, _, _ = bytes.Cut(value, []byte("\r\n"))
		if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return h, true, fmt.Errorf("not a length: %q", b)
		}
	}
	return h, true, nil
}

// parseResponse returns the body of a response that is complete and successful, or false if there is more to come.
// Everything else is an error.
func parseResponse(b []byte) (body []byte, whole bool, err error) {
	h, whole, err := parseHead(b)
	switch {
	case err != nil || !whole:
		return nil, whole, err
	case h.status != 200:
		return nil, true, fmt.Errorf("answered with %q", b)
	case h.length < 0:
		return nil, true, fmt.Errorf("a response without Content-Length: %q", b[:h.size])
	}
	body = b[h.size:]
	if int64(len(body)) > h.length {
		return nil, true, fmt.Errorf("more than a response: %q", b)
	}
	return body, int64(len(body)) == h.length, nil
}
