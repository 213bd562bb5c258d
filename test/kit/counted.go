package kit

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// Counted returns another URL for the server at url, and how many connections were made to it. The end of the test closes it.
func Counted(t *testing.T, url string) (counted string, connections *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			server, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				client.Close()
				continue
			}
			go forward(server, client)
			go forward(client, server)
		}
	}()
	return "http://" + ln.Addr().String(), connections
}

// forward copies a connection until its end, and then ends the other.
func forward(to, from net.Conn) {
	defer to.Close()
	io.Copy(to, from)
}
