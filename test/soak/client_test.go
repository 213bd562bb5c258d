//go:build linux

package soak

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A client writes and reads HTTP itself, because it has to know exactly what it sent and received, and when. It carries
// out plans, one request each, and keeps a note of each for the checker. The number of the request is in its User-Agent,
// which is in the log, too, and at the beginning of its body. All bytes of a body follow from that number, so a consumer can
// tell which request sent it and whether it is complete.

// capTime bounds every request: a client that does not hang up must have its answer by then.
const capTime = 25 * time.Second

// A note is what a client knows about one of its requests.
type note struct {
	plan
	number int

	begun time.Time // before the first byte of the request was written
	asked time.Time // after the last byte of its head was written
	last  time.Time // producer: before the last byte of its body was written; zero if it was not
	left  time.Time // before it hung up; zero if it stayed
	known time.Time // when the server's kernel had confirmed the FIN; zero if that is not known
	first time.Time // when the head of the response arrived
	done  time.Time // when the request was over

	sent int64 // bytes of its body that were written

	status   int // 0: no response
	code     string
	exchange string // the id in Httpipe-Exchange
	got      int64  // bytes of the response's body
	message  int    // the request that sent that body; 0: none, or too short to tell
	wrong    bool   // it is not the body of any request
	complete bool   // the body of the response ended properly
	err      error  // why there was no response, or not all of it

	// The rows of this request in the log. The checker sets them.
	exchanges []*exchangeRow
	requests  []*requestRow
}

func (n *note) stayed() bool { return n.left.IsZero() }

// A client makes one request after another.
type client struct {
	run   *soakRun
	rng   *rand.Rand
	notes []*note

	conn       *net.TCPConn // kept for the next request
	in         *bufio.Reader
	generation int64 // of the server process that conn leads to
}

// do carries out a plan. It returns false if the server does not accept connections.
func (c *client) do(p plan) bool {
	defer closeOnce(p.out)
	defer closeOnce(p.gone)
	n := &note{plan: p, number: int(c.run.requests.Add(1))}
	if !c.connect(p) {
		return false
	}
	n.begun = time.Now()
	c.conn.SetDeadline(n.begun.Add(capTime))
	keep := false
	if p.role == "producer" {
		keep = c.produce(n)
	} else {
		keep = c.consume(n)
	}
	if !keep {
		c.close()
	}
	n.done = time.Now()
	c.notes = append(c.notes, n)
	return true
}

// connect returns false if the server does not accept connections.
func (c *client) connect(p plan) bool {
	generation := c.run.relay.generation.Load()
	if c.conn != nil && c.generation == generation {
		return true
	}
	c.close()
	c.generation = generation
	conn, err := net.DialTimeout("tcp", c.run.relay.addr, time.Second)
	if err != nil {
		c.run.unconnected.Add(1)
		return false
	}
	c.conn = conn.(*net.TCPConn)
	c.in = bufio.NewReader(c.conn)
	if p.small {
		c.conn.SetReadBuffer(16 << 10)
	}
	return true
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// ask writes the head of the request.
func (c *client) ask(n *note, method string, headers ...string) error {
	target, version := "/channels/"+n.channel, "1.1"
	if n.wait >= 0 && !n.prefer {
		target += fmt.Sprintf("?wait=%v", n.wait.Seconds())
	}
	if n.http10 {
		version = "1.0"
	}
	target, token := c.run.tokens.show(n, target)
	headers = append(headers, token...)
	headers = append(headers, "Host: soak", fmt.Sprintf("User-Agent: soak/%d", n.number))
	if n.wait >= 0 && n.prefer {
		headers = append(headers, fmt.Sprintf("Prefer: wait=%v", n.wait.Seconds()))
	}
	if !n.keep && !n.http10 {
		headers = append(headers, "Connection: close")
	}
	head := fmt.Sprintf("%s %s HTTP/%s\r\n%s\r\n\r\n", method, target, version, strings.Join(headers, "\r\n"))
	if n.pipelined {
		head += "\r\n"
	}
	_, err := io.WriteString(c.conn, head)
	n.asked = time.Now()
	closeOnce(n.out)
	return err
}

// hangUp closes the connection as planned. The caller closes a half-closed one.
func (c *client) hangUp(n *note) {
	n.left = time.Now()
	if n.how == byReset {
		c.conn.SetLinger(0)
	} else if c.conn.CloseWrite() == nil && confirmed(c.conn, n.cue != nil) {
		n.known = time.Now()
	}
	closeOnce(n.gone)
	if n.how == byHalf {
		c.conn.SetReadDeadline(time.Now().Add(time.Second))
	} else {
		c.conn.Close()
	}
}

// confirmed reports whether the kernel of the server has confirmed the FIN that was just sent. From then on it tells the
// server, when asked, that the client has hung up. A patient caller waits for a kernel that delays its confirmation.
func confirmed(conn *net.TCPConn, patient bool) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	const finWait2, timeWait = 5, 6
	state := uint8(0)
	limit := 2 * time.Millisecond
	if patient {
		limit = 100 * time.Millisecond
	}
	for start := time.Now(); time.Since(start) < limit; {
		raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				state = info.State
			}
		})
		if state == finWait2 || state == timeWait {
			return true
		}
	}
	return false
}

// produce reports whether the connection can be used again.
func (c *client) produce(n *note) (keep bool) {
	headers := []string{"Content-Type: application/x-soak"}
	if n.chunked {
		headers = append(headers, "Transfer-Encoding: chunked")
	} else {
		headers = append(headers, fmt.Sprintf("Content-Length: %d", n.size))
	}
	if n.expect {
		headers = append(headers, "Expect: 100-continue")
	}
	if n.size == 0 && !n.chunked {
		n.last = n.begun
	}
	if n.err = c.ask(n, "POST", headers...); n.err != nil {
		return false
	}
	patience := time.NewTimer(n.patience)
	defer patience.Stop()
	c.conn.SetWriteDeadline(n.begun.Add(n.patience))
	heard, answered := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(answered)
		keep = c.hear(n, "POST", heard)
		c.conn.SetWriteDeadline(time.Unix(1, 0)) // stop sending when there is an answer
	}()
	if n.expect {
		select {
		case <-heard:
		case <-answered:
		case <-time.After(300 * time.Millisecond):
		}
	}
	complete, hangsUp := c.send(n, answered)
	if !hangsUp {
		select {
		case <-answered:
			return keep && complete
		case <-n.cue:
		case <-patience.C:
		}
	}
	c.hangUp(n)
	<-answered
	return false
}

// send writes the body until it is complete or an answer comes. It reports whether it is complete, and whether the client
// hangs up now.
func (c *client) send(n *note, answered <-chan struct{}) (complete, hangsUp bool) {
	piece := make([]byte, 0, 64<<10+16)
	paused := n.pause == 0
	for n.sent < n.size {
		if !paused && n.sent >= n.pauseAt {
			paused = true
			if !rest(n.pause, answered) {
				return false, false
			}
		}
		size := min(n.size-n.sent, n.piece)
		if n.hangsUp {
			size = min(size, n.hangUpAt-n.sent)
		}
		if size == 0 {
			return false, true
		}
		if n.sent+size == n.size && !n.chunked {
			n.last = time.Now()
		}
		piece = piece[:0]
		if n.chunked {
			piece = fmt.Appendf(piece, "%x\r\n", size)
		}
		piece = appendMessage(piece, n.number, n.sent, size)
		if n.chunked {
			piece = append(piece, "\r\n"...)
		}
		if _, err := c.conn.Write(piece); err != nil {
			return false, errors.Is(err, os.ErrDeadlineExceeded) && !isClosed(answered)
		}
		n.sent += size
		if n.pace > 0 && !rest(n.pace, answered) {
			return false, false
		}
	}
	if n.malformed {
		io.WriteString(c.conn, "so much for chunks\r\n")
		return false, false
	}
	if n.chunked {
		n.last = time.Now()
		if _, err := io.WriteString(c.conn, "0\r\n\r\n"); err != nil {
			n.last = time.Time{}
			return false, errors.Is(err, os.ErrDeadlineExceeded) && !isClosed(answered)
		}
	}
	return true, false
}

// rest waits for that long, and returns false if it is interrupted.
func rest(d time.Duration, interrupt <-chan struct{}) bool {
	select {
	case <-interrupt:
		return false
	case <-time.After(d):
		return true
	}
}

// closeOnce closes c unless it is nil or closed.
func closeOnce(c chan struct{}) {
	if c != nil && !isClosed(c) {
		close(c)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// hear reads the whole response to a producer. It closes heard when a 100 Continue arrives, and reports whether the
// connection can be used again.
func (c *client) hear(n *note, method string, heard chan struct{}) (keep bool) {
	for {
		response, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			n.err = err
			return false
		}
		if response.StatusCode == http.StatusContinue {
			if heard != nil && !isClosed(heard) {
				close(heard)
			}
			continue
		}
		n.first = time.Now()
		body, err := io.ReadAll(response.Body)
		n.status, n.code, n.exchange = response.StatusCode, response.Header.Get("Httpipe-Error"), response.Header.Get("Httpipe-Exchange")
		n.got, n.complete, n.err = int64(len(body)), err == nil, err
		if n.status == http.StatusOK && n.complete {
			c.run.acknowledged()
		}
		return n.complete && n.keep && !response.Close
	}
}

// consume reports whether the connection can be used again.
func (c *client) consume(n *note) (keep bool) {
	if n.err = c.ask(n, "GET"); n.err != nil {
		return false
	}
	c.conn.SetReadDeadline(n.begun.Add(n.patience))
	if n.cue != nil {
		conn, over := c.conn, make(chan struct{})
		defer close(over)
		go func() {
			select {
			case <-n.cue:
				conn.SetReadDeadline(time.Unix(1, 0))
			case <-over:
			}
		}()
	}
	response, err := http.ReadResponse(c.in, &http.Request{Method: "GET"})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.hangUp(n)
		if n.how == byHalf {
			response, err = http.ReadResponse(c.in, &http.Request{Method: "GET"})
		}
	}
	if err != nil {
		n.err = err
		return false
	}
	n.first = time.Now()
	n.status, n.code, n.exchange = response.StatusCode, response.Header.Get("Httpipe-Error"), response.Header.Get("Httpipe-Exchange")
	c.conn.SetReadDeadline(n.begun.Add(capTime))
	if n.status != http.StatusOK {
		body, err := io.ReadAll(response.Body)
		n.got, n.complete, n.err = int64(len(body)), err == nil, err
	} else {
		n.err = c.receive(n, response.Body)
		n.complete = n.err == io.EOF
		if errors.Is(n.err, os.ErrDeadlineExceeded) && n.stayed() {
			c.hangUp(n) // it was too slow, and gives up
		}
	}
	return n.complete && n.keep && n.stayed() && !response.Close && !n.pipelined
}
