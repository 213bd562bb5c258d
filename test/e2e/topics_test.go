package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// TestThousandSubscribers publishes to 1,000 subscribers, of which a third leave, stop reading or die at random. Each history
// must be a run of the topic's, without a gap, a change or a repetition, and the publishers and the log must say the same.
// TOPIC_MESSAGES sets how many messages there are; then some are so large that the connections of those that do not read stall,
// and on a busy machine a reader may have to wait so long for its turn that the server cuts it too.
func TestThousandSubscribers(t *testing.T) {
	messages, err := strconv.Atoi(os.Getenv("TOPIC_MESSAGES"))
	long := err == nil
	if !long {
		messages = 200
	}
	timeout := "1m" // nothing stalls
	if long {
		timeout = "5s" // each large message waits this long for subscribers that do not read
	}
	p := kit.Start(t, t.TempDir(), "--message-timeout", timeout, "--max-waiting-per-channel", "2000")
	const readers, publishers = 1000, 4
	all := make([]*topicReader, readers)
	var reading sync.WaitGroup
	for i := range all {
		all[i] = subscribeReader(t, p.URL, i, messages)
		reading.Go(all[i].read)
	}
	waitForSubscribers(t, p.URL+"/topics/e2e/run", readers)

	published := make([][]publishedMessage, publishers)
	var sending sync.WaitGroup
	for i := range published {
		sending.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for n := range messages / publishers {
				size := rng.IntN(300)
				if long && n%(messages/publishers/2) == 1 { // two large ones each
					size = 600 << 10
				}
				published[i] = append(published[i], publish(t, p.URL, fmt.Sprintf("%d.%d", i, n), size))
			}
		})
	}
	sending.Wait()
	history := slices.Concat(published...)
	slices.SortFunc(history, func(a, b publishedMessage) int { return strings.Compare(a.id, b.id) })
	request, _ := http.NewRequest("DELETE", p.URL+"/topics/e2e/run", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != 204 {
		t.Fatal(response, err)
	}
	reading.Wait()
	p.Stop(t)
	noteCuts(t, p, all)
	compareHistories(t, all, history)
	outcomes := compareWithLog(t, p, all, history)
	slow := countSlow(all)
	if outcomes["left"] == 0 || long && outcomes["stalled"] <= slow {
		t.Errorf("too little happened: %v", outcomes)
	}
	if slow > 0 && !long || slow > readers/10 {
		t.Errorf("%d readers that did nothing wrong were cut", slow)
	}
	t.Logf("%d messages; subscriptions: %v; %d of those that stalled were only slow", len(history), outcomes, slow)
}

type publishedMessage struct {
	id, body               string
	subscribers, delivered int
}

// publish publishes a message that carries its checksum.
func publish(t *testing.T, url, name string, size int) publishedMessage {
	text := name + strings.Repeat("x", size)
	m := publishedMessage{body: fmt.Sprintf("%08x %s", crc32.ChecksumIEEE([]byte(text)), text)}
	response, err := http.Post(url+"/topics/e2e/run", "text/plain", strings.NewReader(m.body))
	if err != nil {
		t.Error(err)
		return m
	}
	response.Body.Close()
	m.id = response.Header.Get("Httpipe-Exchange")
	m.subscribers, _ = strconv.Atoi(response.Header.Get("Httpipe-Subscribers"))
	m.delivered, _ = strconv.Atoi(response.Header.Get("Httpipe-Delivered"))
	if response.StatusCode != 200 || m.id == "" || m.delivered > m.subscribers {
		t.Errorf("the publisher is told %s: %+v", response.Status, m)
	}
	return m
}

// waitForSubscribers polls until so many clients are subscribed to the topic with that URL.
func waitForSubscribers(t *testing.T, url string, n int) {
	t.Helper()
	for deadline := time.Now().Add(kit.Patience); ; time.Sleep(5 * kit.Pause) {
		response, err := http.Head(url)
		if err != nil {
			t.Fatal(err)
		}
		if response.Header.Get("Httpipe-Consumers") == fmt.Sprint(n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s are subscribed, want %d", response.Header.Get("Httpipe-Consumers"), n)
		}
	}
}

// A topicReader is a subscriber with a connection of its own, which misbehaves at some message, or never.
type topicReader struct {
	name  string
	conn  *net.TCPConn
	at    int // the message after which it misbehaves; -1: never
	how   int
	id    int32  // of the message that is being read, as messageNumbers has it
	wrong string // what is wrong with a message; "" if nothing is
	whole bool   // the stream ended in order
	cut   bool   // the log says that it has stalled

	messages []int32 // the ids of the messages that were read, likewise
}

// behaves reports whether r reads all that it gets.
func (r *topicReader) behaves() bool { return r.at < 0 }

const (
	leaves = iota // hangs up
	dies          // resets the connection
	stops         // stops reading
	kinds
)

func subscribeReader(t *testing.T, url string, i, messages int) *topicReader {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &topicReader{name: fmt.Sprintf("reader-%d", i), conn: conn.(*net.TCPConn), at: -1}
	if i%3 == 0 {
		r.at, r.how = 1+rand.IntN(messages), i/3%kinds
		if r.how == stops {
			r.at = 1 + rand.IntN(messages/8)
			r.conn.SetReadBuffer(4 << 10) // so that the kernels do not hold all that it does not read
		}
	}
	fmt.Fprintf(conn, "GET /topics/e2e/run HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\nAccept: text/event-stream\r\n\r\n", r.name)
	return r
}

// read reads the stream to its end, or until it misbehaves.
func (r *topicReader) read() {
	response, err := http.ReadResponse(bufio.NewReader(r.conn), nil)
	if err != nil || response.StatusCode != 200 {
		r.wrong = fmt.Sprint("no stream: ", err)
		return
	}
	lines := bufio.NewScanner(response.Body) // which allocates nothing for each of ten million messages
	lines.Buffer(make([]byte, 4<<10), 1<<20)
	lines.Split(wholeLines)
	fields := 0 // of the event so far
	for len(r.messages) != r.at {
		if !lines.Scan() {
			r.whole = lines.Err() == nil && fields == 0
			return
		}
		switch line := lines.Bytes(); {
		case len(line) == 0:
			fields = 0
		case line[0] != ':': // else a comment
			r.note(fields, line)
			fields++
		}
	}
	switch r.how {
	case leaves:
		r.conn.Close()
	case dies:
		r.conn.SetLinger(0)
		r.conn.Close()
	}
}

// wholeLines is bufio.ScanLines, but bytes after the last newline are an error.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return 0, nil, err
}

// note takes the next line of an event, after that many other fields. A message counts once its data has been read, before the
// empty line that ends it; the log may count one more.
func (r *topicReader) note(fields int, line []byte) {
	name, value, _ := bytes.Cut(line, []byte(": "))
	switch {
	case fields == 0 && string(name) == "id":
		r.id = messageNumbers.of(value)
	case fields == 1 && string(name) == "data":
		r.messages = append(r.messages, r.id)
		sum, text, _ := bytes.Cut(value, []byte(" "))
		if want, err := strconv.ParseUint(string(sum), 16, 32); err != nil || uint32(want) != crc32.ChecksumIEEE(text) {
			r.wrong = fmt.Sprintf("message %d was changed", len(r.messages)-1)
		}
	default:
		r.wrong = fmt.Sprintf("line %d of an event is %.100q", fields, line)
	}
}

// numbers gives ids numbers in the order of their first use, because a thousand readers could not keep them all as text.
type numbers struct {
	mu  sync.RWMutex
	all map[string]int32
}

var messageNumbers = numbers{all: map[string]int32{}}

func (n *numbers) of(id []byte) int32 {
	n.mu.RLock()
	number, ok := n.all[string(id)]
	n.mu.RUnlock()
	if ok {
		return number
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, ok := n.all[string(id)]; ok {
		return number
	}
	n.all[string(id)] = int32(len(n.all))
	return n.all[string(id)]
}

// compareHistories checks that each reader has a run of the topic's history from its first message on.
func compareHistories(t *testing.T, all []*topicReader, history []publishedMessage) {
	taken := make([]int, len(history)) // how many readers have each
	numberOf := make([]int32, len(history))
	for i, m := range history {
		numberOf[i] = messageNumbers.of([]byte(m.id))
	}
	for _, r := range all {
		if r.wrong != "" {
			t.Errorf("%s: %s", r.name, r.wrong)
		}
		for i, number := range r.messages {
			if i >= len(history) || number != numberOf[i] {
				t.Errorf("%s: message %d is not the topic's", r.name, i)
				break
			}
			taken[i]++
		}
		switch {
		case !r.behaves():
		case r.cut && r.whole:
			t.Errorf("%s was cut after %d messages, and the stream ended in order", r.name, len(r.messages))
		case !r.cut && (len(r.messages) != len(history) || !r.whole):
			t.Errorf("%s got %d of %d messages, and the stream ended in order: %v", r.name, len(r.messages), len(history), r.whole)
		}
	}
	for i, m := range history {
		if taken[i] > m.delivered {
			t.Errorf("%s: %d readers have it, the publisher was told %d", m.id, taken[i], m.delivered)
		}
	}
}

// noteCuts sets cut of the readers that the server has cut, according to the log, because they did not read.
func noteCuts(t *testing.T, p *kit.Server, all []*topicReader) {
	cut := strings.Split(p.SQLite(t, "SELECT agent FROM subscriptions WHERE outcome = 'stalled'"), "\n")
	for _, r := range all {
		r.cut = slices.Contains(cut, r.name)
	}
}

// countSlow returns how many readers the server has cut although they read all that they got.
func countSlow(all []*topicReader) (slow int) {
	for _, r := range all {
		if r.behaves() && r.cut {
			slow++
		}
	}
	return slow
}

// compareWithLog checks that the log has what the publishers were told and the readers noted. It returns the outcomes of the
// subscriptions.
func compareWithLog(t *testing.T, p *kit.Server, all []*topicReader, history []publishedMessage) map[string]int {
	if code, out := kit.Execute(t, p.Dir, kit.Binary(t), "audit", "check"); code != 0 {
		t.Error(out)
	}
	rows := strings.Split(p.SQLite(t, "SELECT id, outcome, subscribers, delivered, (SELECT count(*) FROM deliveries d WHERE d.publication = p.id) FROM publications p ORDER BY id"), "\n")
	if len(rows) != len(history) {
		t.Fatalf("%d publications are on record, want %d", len(rows), len(history))
	}
	for i, m := range history {
		if want := fmt.Sprintf("%s|published|%d|%d|%d", m.id, m.subscribers, m.delivered, m.delivered); rows[i] != want {
			t.Errorf("the log has %s, want %s", rows[i], want)
		}
	}
	outcomes := map[string]int{}
	byName := map[string][]string{}
	for row := range strings.SplitSeq(p.SQLite(t, "SELECT agent, outcome, messages, coalesce(first, ''), coalesce(last, '') FROM subscriptions"), "\n") {
		fields := strings.Split(row, "|")
		byName[fields[0]] = fields[1:]
		outcomes[fields[1]]++
	}
	for _, r := range all {
		row := byName[r.name]
		messages, _ := strconv.Atoi(row[1])
		switch {
		case messages < len(r.messages) || messages > len(history):
			t.Errorf("%s has %d messages, and %v is on record", r.name, len(r.messages), row)
		case messages > 0 && (row[2] != history[0].id || row[3] != history[messages-1].id):
			t.Errorf("%s has %d messages from the first on, and %v is on record", r.name, len(r.messages), row)
		case r.behaves() && !r.cut && (messages != len(r.messages) || row[0] != "deleted"):
			t.Errorf("%s has all messages, and %v is on record", r.name, row)
		}
	}
	return outcomes
}
