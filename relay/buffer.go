package relay

import "sync"

// bufferSize holds the heads of most requests and of most responses, with a small body.
const bufferSize = 4 << 10

// buffers holds arrays of bufferSize bytes.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func getBuffer() []byte { return buffers.Get().(*[bufferSize]byte)[:] }

// putBuffer gives back a buffer, unless it is larger than those of getBuffer.
func putBuffer(b []byte) {
	if cap(b) == bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
