//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A flow is a number of streams at the same time.
type flow struct {
	name    string
	streams int
	chunked bool
}

const oneStream, manyStreams, oneChunked = "1 stream, with a length", "16 streams, with a length", "1 stream, chunked"

var flows = []flow{
	{oneStream, 1, false}, {manyStreams, 16, false},
	{oneChunked, 1, true}, {"16 streams, chunked", 16, true},
}

const megabyte = 1 << 20

// A body is this megabyte over and over, so that a piece which is lost, repeated or misplaced shows.
var pattern = sync.OnceValue(func() []byte {
	p := make([]byte, megabyte)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
})

// chunkedPattern is the same in chunks as large as curl's.
var chunkedPattern = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	for chunk := range slices.Chunk(pattern(), 64<<10) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	return b.Bytes()
})

// streams measures how fast bytes go through, and what they cost. Raw TCP knows no chunks; what it does without stands beside
// both. The floor has none.
func (b *bench) streams() error {
	speeds := b.table("Streams, in GB/s", "flow")
	costs := b.table(titleStreamCosts, "flow")
	servers, err := b.start(b.relays, floor, naive, raw)
	if err != nil {
		return err
	}
	defer kill(servers)
	for _, f := range flows {
		through := slices.DeleteFunc(slices.Clone(servers), func(s *server) bool { return s.name == floor && f.chunked })
		err := turns(b.rounds, through, func(round int, s *server) error {
			before, err := s.processorTime()
			if err != nil {
				return err
			}
			start := time.Now()
			if err := f.through(s, b.megabytes/f.streams); err != nil {
				return err
			}
			elapsed := time.Since(start)
			after, err := s.processorTime()
			if err != nil || round == warmUp {
				return err
			}
			gigabytes := float64(b.megabytes/f.streams*f.streams) * megabyte / 1e9
			speeds.add(f.name, s.name, gigabytes/elapsed.Seconds())
			costs.add(f.name, s.name, (after-before).Seconds()/gigabytes)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// through sends as many megabytes through each stream, and returns when all have arrived and were acknowledged.
func (f flow) through(s *server, megabytes int) error {
	errs := make(chan error, 2*f.streams)
	var clients sync.WaitGroup
	for n := range f.streams {
		// One after the other, because raw TCP takes the first of two connections for the producer's.
		producer, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			return err
		}
		defer producer.Close()
		consumer, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			return err
		}
		defer consumer.Close()
		path := fmt.Sprintf("/channels/stream/%d", n)
		clients.Go(func() { errs <- f.produce(producer, s.name == raw, path, megabytes) })
		clients.Go(func() { errs <- consume(consumer, s.name == raw, path, megabytes) })
	}
	clients.Wait()
	close(errs)
	var first error
	for err := range errs {
		first = cmp.Or(first, err)
	}
	return first
}

// produce sends the pattern, and waits for the 200.
func (f flow) produce(conn net.Conn, isRaw bool, path string, megabytes int) error {
	piece, end := pattern(), ""
	switch {
	case isRaw:
	case f.chunked:
		piece, end = chunkedPattern(), "0\r\n\r\n"
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", path)
	default:
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", path, megabytes*megabyte)
	}
	for range megabytes {
		if _, err := conn.Write(piece); err != nil {
			return fmt.Errorf("the producer: %w", err)
		}
	}
	if isRaw {
		return conn.(*net.TCPConn).CloseWrite()
	}
	if _, err := io.WriteString(conn, end); err != nil {
		return fmt.Errorf("the producer: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		return fmt.Errorf("the producer got: %w", err)
	}
	return nil
}

// consume receives the pattern.
func consume(conn net.Conn, isRaw bool, path string, megabytes int) error {
	var body io.Reader = conn
	if !isRaw {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
		response, err := http.ReadResponse(bufio.NewReaderSize(conn, 64<<10), nil)
		if err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		if err != nil {
			return fmt.Errorf("the consumer got: %w", err)
		}
		body = response.Body
	}
	size, err := checkPattern(body)
	if err == nil && size != megabytes*megabyte {
		err = fmt.Errorf("%d bytes of %d", size, megabytes*megabyte)
	}
	if err != nil {
		return fmt.Errorf("the consumer got: %w", err)
	}
	return nil
}

// checkPattern reads the body to its end and returns its size, or an error where it is not the pattern.
func checkPattern(body io.Reader) (size int, err error) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		for got := buffer[:n]; len(got) > 0; {
			want := pattern()[size%megabyte:]
			want = want[:min(len(want), len(got))]
			if !bytes.Equal(got[:len(want)], want) {
				return size, fmt.Errorf("something wrong after %d bytes", size)
			}
			size += len(want)
			got = got[len(want):]
		}
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
