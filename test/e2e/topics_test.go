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
		timeout = "15s" // so long each publisher waits for those that do not read
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
	slow := 0
	for _, r := range all {
		if r.behaves() && r.cut {
			slow++
		}
	}
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
	ids   []string
	wrong string // what is wrong with a message; "" if nothing is
	whole bool   // the stream ended in order
	cut   bool   // the log says that it has stalled
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
	lines := bufio.NewReader(response.Body)
	for {
		if len(r.ids) == r.at {
			switch r.how {
			case leaves:
				r.conn.Close()
			case dies:
				r.conn.SetLinger(0)
				r.conn.Close()
			}
			return
		}
		event, err := readEvent(lines)
		if err != nil {
			r.whole = err == io.EOF && len(event) == 0
			return
		}
		r.note(event)
	}
}

// readEvent returns the lines of an event, without comments.
func readEvent(lines *bufio.Reader) (event [][]byte, err error) {
	for {
		line, err := lines.ReadBytes('\n')
		switch line = bytes.TrimSuffix(line, []byte("\n")); {
		case err != nil:
			if len(line) > 0 {
				event = append(event, line)
			}
			return event, err
		case len(line) == 0 && len(event) > 0:
			return event, nil
		case len(line) > 0 && line[0] != ':':
			event = append(event, line)
		}
	}
}

func (r *topicReader) note(event [][]byte) {
	if len(event) != 2 || !bytes.HasPrefix(event[0], []byte("id: ")) || !bytes.HasPrefix(event[1], []byte("data: ")) {
		r.wrong = fmt.Sprintf("the event is %.100q", event)
		return
	}
	r.ids = append(r.ids, string(event[0][4:]))
	sum, text, _ := bytes.Cut(event[1][6:], []byte(" "))
	if fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) != string(sum) {
		r.wrong = "the message " + r.ids[len(r.ids)-1] + " was changed"
	}
}

// compareHistories checks that each reader has a run of the topic's history from its first message on.
func compareHistories(t *testing.T, all []*topicReader, history []publishedMessage) {
	taken := map[string]int{}
	for _, r := range all {
		if r.wrong != "" {
			t.Errorf("%s: %s", r.name, r.wrong)
		}
		for i, id := range r.ids {
			taken[id]++
			if i >= len(history) || id != history[i].id {
				t.Errorf("%s: message %d is %s, which is not the topic's", r.name, i, id)
				break
			}
		}
		switch {
		case !r.behaves():
		case r.cut && r.whole:
			t.Errorf("%s was cut after %d messages, and the stream ended in order", r.name, len(r.ids))
		case !r.cut && (len(r.ids) != len(history) || !r.whole):
			t.Errorf("%s got %d of %d messages, and the stream ended in order: %v", r.name, len(r.ids), len(history), r.whole)
		}
	}
	for _, m := range history {
		if taken[m.id] > m.delivered {
			t.Errorf("%s: %d readers have it, the publisher was told %d", m.id, taken[m.id], m.delivered)
		}
	}
}

// noteCuts asks the log which readers the server has cut because they did not read.
func noteCuts(t *testing.T, p *kit.Server, all []*topicReader) {
	cut := strings.Split(p.SQLite(t, "SELECT agent FROM subscriptions WHERE outcome = 'stalled'"), "\n")
	for _, r := range all {
		r.cut = slices.Contains(cut, r.name)
	}
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
		case messages < len(r.ids) || messages > len(history):
			t.Errorf("%s has %d messages, and %v is on record", r.name, len(r.ids), row)
		case messages > 0 && (row[2] != history[0].id || row[3] != history[messages-1].id):
			t.Errorf("%s has %d messages from the first on, and %v is on record", r.name, len(r.ids), row)
		case r.behaves() && !r.cut && (messages != len(r.ids) || row[0] != "deleted"):
			t.Errorf("%s has all messages, and %v is on record", r.name, row)
		}
	}
	return outcomes
}
