package httpapi

import (
	"bytes"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
)

// mostAllocations is how many a small exchange may cost, both requests included, without a log. More allocations are more
// garbage, so a change that adds some should have a reason, and give it where this number is changed. One is for the
// pipe.Exchange, which begins at the match: a producer that waits should not keep memory for it.
const mostAllocations = 12

func TestAllocationsPerExchange(t *testing.T) {
	if underRace() {
		t.Skip("pools keep less under the race detector")
	}
	r := start(t)
	consumer, producer := newBareClient(t, r.addr), newBareClient(t, r.addr)
	exchange := func() {
		consumer.write("GET /channels/n/c HTTP/1.1\r\nHost: relay\r\nUser-Agent: test\r\n\r\n")
		producer.write("POST /channels/n/c HTTP/1.1\r\nHost: relay\r\nUser-Agent: test\r\nContent-Length: 5\r\n\r\nhello")
		consumer.readUntil("\r\n\r\nhello")
		producer.readUntil("\r\n\r\n")
	}
	if n := testing.AllocsPerRun(500, exchange); n > mostAllocations {
		t.Errorf("%.0f allocations for an exchange; at most %d were needed so far", n, mostAllocations)
	}
}

// Without a log, an exchange needs no more stack than the garbage collector leaves to a connection that waits. See the
// documentation of package relay.
func TestStackOfAnExchange(t *testing.T) {
	if underRace() {
		t.Skip("functions need more stack under the race detector")
	}
	const get, post = "GET /channels/n/c HTTP/1.1\r\nHost: relay\r\n\r\n", "POST /channels/n/c HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello"
	r := start(t, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) }) // the journal needs more stack
	var clients [100]*bareClient
	for i := range clients {
		clients[i] = newBareClient(t, r.addr)
	}
	exchanges := func() {
		for i, later := range clients { // once as the consumer, and once as the producer
			earlier := clients[(i+1)%len(clients)]
			earlier.write(post)
			r.Waiting(1, 0)
			later.write(get)
			later.readUntil("hello")
			earlier.readUntil("\r\n\r\n")
			earlier.write(get)
			r.Waiting(0, 1)
			later.write(post)
			earlier.readUntil("hello")
			later.readUntil("\r\n\r\n")
		}
	}
	exchanges()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := stackMemory()
	exchanges()
	if each := (stackMemory() - before) / len(clients); each > 2<<10 {
		t.Errorf("the stacks have grown by %d bytes for each connection", each)
	}
}

func stackMemory() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.StackInuse)
}

// underRace reports whether this test runs under the race detector.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// A bareClient is a connection that allocates nothing when it is used.
type bareClient struct {
	t      *testing.T
	conn   net.Conn
	buffer [4 << 10]byte
}

func newBareClient(t *testing.T, addr string) *bareClient {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &bareClient{t: t, conn: conn}
}

func (c *bareClient) write(s string) {
	if _, err := c.conn.Write(append(c.buffer[:0], s...)); err != nil {
		c.t.Fatal(err)
	}
}

// readUntil reads until what has come ends with that.
func (c *bareClient) readUntil(end string) {
	for n := 0; !bytes.HasSuffix(c.buffer[:n], []byte(end)); {
		got, err := c.conn.Read(c.buffer[n:])
		if err != nil {
			c.t.Fatal(err)
		}
		n += got
	}
}
