package http1

import (
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// Continue is the whole interim response to Expect: 100-continue.
	Continue = "HTTP/1.1 100 Continue\r\n\r\n"
	// Processing is the whole interim response to a producer that waits and wants to know.
	Processing = "HTTP/1.1 102 Processing\r\nHttpipe-Waiting: for a consumer\r\n\r\n"
	// ChunkEnd goes behind the data of each chunk.
	ChunkEnd = "\r\n"
	// LastChunk goes behind the ChunkEnd of the last chunk with data, and ends the body.
	LastChunk = "0\r\n\r\n"
	// HeadEnd goes behind the last field of a head.
	HeadEnd = "\r\n"
)

// AppendResponse appends a whole response head to dst: AppendStatus, AppendField for each of the fields, and HeadEnd.
// What frames the body (Content-Length, Transfer-Encoding, Connection) is among the fields.
func AppendResponse(dst []byte, minor, status int, fields ...Field) []byte {
	dst = AppendStatus(dst, minor, status)
	for _, f := range fields {
		dst = AppendField(dst, f.Name, f.Value)
	}
	return append(dst, HeadEnd...)
}

// AppendStatus appends the first line of a response, in the version HTTP/1.minor that the request had, and the Date
// field. A status has three digits.
func AppendStatus(dst []byte, minor, status int) []byte {
	if status == 200 && minor == 1 { // most
		return appendDate(append(dst, "HTTP/1.1 200 OK\r\n"...), time.Now())
	}
	dst = append(dst, "HTTP/1."...)
	dst = append(dst, '0'+byte(minor), ' ')
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if text := statusText(status); text != "" {
		dst = append(dst, text...)
	} else {
		dst = append(dst, "status code "...)
		dst = strconv.AppendInt(dst, int64(status), 10)
	}
	dst = append(dst, "\r\n"...)
	return appendDate(dst, time.Now())
}

// AppendField appends a field with its name in canonical case, such as Content-Type. A name that is not a token is left
// out with its value. In the value each control character is replaced by a space, so that no value begins a line, and
// the blanks around it are left out.
func AppendField(dst []byte, name, value string) []byte {
	start := len(dst)
	dst = append(dst, name...)
	if name == "" || !canonical(dst[start:]) {
		return dst[:start]
	}
	dst = append(dst, ": "...)
	start = len(dst)
	dst = append(dst, value...)
	written := dst[start:]
	for i, b := range written {
		if classOf[b]&control != 0 {
			written[i] = ' '
		}
	}
	dst = append(dst[:start], trim(written)...)
	return append(dst, "\r\n"...)
}

// canonical changes a field's name to canonical case. It reports whether the name is a token.
func canonical(name []byte) bool {
	first := true
	for i, b := range name {
		if classOf[b]&token == 0 {
			return false
		}
		if first {
			name[i] = upper(b)
		} else {
			name[i] = lower(b)
		}
		first = b == '-'
	}
	return true
}

// AppendIntField is AppendField for a number, such as a Content-Length. The name must be in canonical case.
func AppendIntField(dst []byte, name string, value int64) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(strconv.AppendInt(dst, value, 10), "\r\n"...)
}

// AppendChunkHead appends what goes before the data of a chunk of n bytes; ChunkEnd goes behind the data. It panics if
// n is not positive, because a chunk without data ends the body.
func AppendChunkHead(dst []byte, n int) []byte {
	if n <= 0 {
		panic("http1: a chunk without data ends the body: write LastChunk")
	}
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, "\r\n"...)
}

// A date is the Date field of one second.
type date struct {
	second int64
	line   string
}

// lastDate is the date that was written last.
var lastDate atomic.Pointer[date]

// appendDate appends the Date field for now.
func appendDate(dst []byte, now time.Time) []byte {
	d := lastDate.Load()
	if second := now.Unix(); d == nil || d.second != second {
		d = &date{second, now.UTC().Format("Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")}
		lastDate.Store(d)
	}
	return append(dst, d.line...)
}
