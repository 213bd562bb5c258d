//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A load describes the exchanges that a fleet makes.
type load struct {
	pairs int  // of clients, each on a channel of its own
	size  int  // of a message in bytes, at least 5
	fresh bool // each exchange is on a channel that there never was before
}

// A pair is a producer and a consumer on the same channel.
type pair struct {
	producer, consumer connection
	expected           int           // responses that are still to come
	posted, delivered  time.Duration // since the start of the run; delivered is 0 until then
}

// A connection is a socket, and the request that is written to it over and over.
type connection struct {
	fd      int
	request []byte
	channel []byte // the part of request that names the channel
	body    []byte // the part of request that is the message; empty for a consumer
	part    []byte // of a response that has not come whole yet
	head    []byte // of the response that read has returned; valid until the next call
}

// The requests are what curl would write.
const (
	postRequest = "POST %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n" +
		"Content-Length: %d\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
	getRequest = "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.14.1\r\nAccept: %s\r\n\r\n"
)

// newPost makes a connection that posts a message of that size. It is not yet connected, nor is newGet's.
func newPost(path string, size int) connection {
	request := fmt.Appendf(nil, postRequest, path, size)
	request = append(request, message(size)...)
	return connection{fd: -1, request: request, body: request[len(request)-size:]}
}

func newGet(path, accept string) connection {
	return connection{fd: -1, request: fmt.Appendf(nil, getRequest, path, accept)}
}

// message is what a producer sends, before it is stamped.
func message(size int) []byte {
	return bytes.Repeat([]byte("hello"), size/5+1)[:size]
}

// newPair makes a pair that is not yet connected.
func newPair(l load, number int) *pair {
	channel := fmt.Sprintf("channel-%08d", number) // 16 characters, as many as those of a random one
	path := "/channels/bench/" + channel
	p := &pair{producer: newPost(path, l.size), consumer: newGet(path, "*/*")}
	for _, c := range p.sides() {
		at := bytes.Index(c.request, []byte(channel))
		c.channel = c.request[at : at+len(channel)]
	}
	return p
}

// sides are the producer and the consumer.
func (p *pair) sides() [2]*connection { return [2]*connection{&p.producer, &p.consumer} }

func (p *pair) close() {
	p.producer.close()
	p.consumer.close()
}

func (c *connection) connect(addr netip.AddrPort) (err error) {
	if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.Connect(c.fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return err
	}
	return errors.Join(unix.SetNonblock(c.fd, true), unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

// close ends the connection by a reset, which leaves no TIME_WAIT behind.
func (c *connection) close() {
	if c.fd >= 0 {
		unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(c.fd)
	}
}

// write writes the request. It always fits the socket's buffer, because the last one has been answered.
func (c *connection) write() error {
	n, err := unix.Write(c.fd, c.request)
	if err == nil && n < len(c.request) {
		err = errors.New("the socket's buffer is too small for a request")
	}
	return err
}

// read reads what has come, into buffer. It returns the body of a response that is complete by that, else nil. The body
// is valid until the next call.
func (c *connection) read(buffer []byte) (body []byte, err error) {
	n, err := unix.Read(c.fd, buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, fmt.Errorf("the server closed the connection after %q", c.part)
	}
	response := buffer[:n]
	if len(c.part) > 0 {
		response = append(c.part, response...)
	}
	body, whole, err := parseResponse(response)
	if err != nil {
		return nil, err
	}
	if !whole {
		c.part = append(c.part[:0], response...)
		return nil, nil
	}
	c.part, c.head = c.part[:0], response[:len(response)-len(body)]
	return body, nil
}

// stamp makes successive messages different.
func stamp(message []byte, number int) {
	for i := 4; i >= 0; i-- {
		message[i] = byte('0' + number%10)
		number /= 10
	}
}

// rename gives the pair another channel.
func (p *pair) rename(name uint64) {
	const digits = "0123456789abcdef"
	for i := range p.producer.channel {
		p.producer.channel[i] = digits[name>>(4*i)&15]
	}
	copy(p.consumer.channel, p.producer.channel)
}
