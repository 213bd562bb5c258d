//go:build linux

package soak

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// A message begins with the number of the request that sends it, and all other bytes follow from that number. So a consumer
// of a part can tell which request sent it and that every byte is right; with the size it can tell that it is complete.

// receive reads a message as planned. It returns io.EOF at its end.
func (c *client) receive(n *note, body io.Reader) error {
	buffer, want := make([]byte, n.piece), make([]byte, 0, n.piece)
	var beginning []byte
	stalled := n.stall == 0
	for {
		if n.hangsUp && n.got >= n.hangUpAt && n.stayed() {
			c.hangUp(n)
		}
		if !stalled && n.got >= n.pauseAt {
			stalled = true
			time.Sleep(n.stall)
		}
		p, err := body.Read(buffer)
		got := buffer[:p]
		if missing := numberLength - len(beginning); missing > 0 && p > 0 {
			beginning = append(beginning, got[:min(missing, p)]...)
			number, err := strconv.ParseInt(string(beginning), 36, 64)
			n.message = int(number)
			n.wrong = err != nil && len(beginning) == numberLength
		}
		if len(beginning) == numberLength {
			want = appendMessage(want[:0], n.message, n.got, int64(p))
			n.wrong = n.wrong || !bytes.Equal(got, want)
		}
		n.got += int64(p)
		if err != nil {
			if len(beginning) < numberLength {
				n.message = 0
			}
			return err
		}
		if n.pace > 0 && n.got < slowFor {
			time.Sleep(n.pace)
		}
	}
}

// slowFor is how many bytes a slow consumer reads slowly.
const slowFor = 2 << 20

// numberLength is how many bytes of a message are the number of its request.
const numberLength = 5

// noise is the content of messages. Its length is prime, so that a lost or moved piece is noticed.
var noise = func() []byte {
	p := make([]byte, 65521)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}()

// appendMessage appends a part of the body of the request with that number.
func appendMessage(p []byte, number int, offset, size int64) []byte {
	if offset < numberLength {
		s := fmt.Sprintf("%0*s", numberLength, strconv.FormatInt(int64(number), 36))
		s = s[offset:min(offset+size, numberLength)]
		p, offset, size = append(p, s...), offset+int64(len(s)), size-int64(len(s))
	}
	for size > 0 {
		from := noise[(offset+int64(number)*7919)%int64(len(noise)):]
		from = from[:min(size, int64(len(from)))]
		p, offset, size = append(p, from...), offset+int64(len(from)), size-int64(len(from))
	}
	return p
}
