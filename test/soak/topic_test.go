//go:build linux

package soak

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Publishers and subscribers of topics. A subscriber takes down which publications it got, and a checker compares that with the
// log: a subscription has no gap.

const (
	topicPublishers  = 3
	topicSubscribers = 10
)

var soakTopics = []string{"soak-t/topic0", "soak-t/topic1"}

// A publication is what a publisher knows of its message.
type publication struct {
	number, size           int
	topic                  string
	begun, done            time.Time
	status                 int
	id                     string
	subscribers, delivered string // as the server says
}

// A subscription is what a subscriber knows of one of its requests.
type subscription struct {
	number     int
	topic      string
	once       bool // it wants one message
	opened     time.Time
	ended      time.Time
	left       bool // it hung up
	got        []receipt
	missed     string // since the publication resumed
	newest     string // the id with that event
	resumed    string
	wrong      string // what it should not have got
	inOrder    bool   // the stream ended in order
	registered bool   // its head has come, which only a stream's means that it is subscribed
}

// A receipt is a message that a subscriber got.
type receipt struct {
	id           string
	number, size int
}

// topics are the publishers and subscribers of a round.
type topics struct {
	run  *soakRun
	http *http.Client

	mu            sync.Mutex // guards the rest
	publications  []*publication
	subscriptions []*subscription
}

// start lets clients publish and subscribe until stop is closed.
func (v *topics) start(rng *rand.Rand, atWork *sync.WaitGroup, stop <-chan struct{}) {
	for i := range topicPublishers + topicSubscribers {
		rng := rand.New(rand.NewPCG(v.run.seed, rng.Uint64()))
		atWork.Go(func() {
			var last subscription
			for !isClosed(stop) {
				topic := soakTopics[rng.IntN(len(soakTopics))]
				if i < topicPublishers {
					v.publish(rng, topic)
				} else {
					last = v.subscribe(rng, soakTopics[i%len(soakTopics)], last.lastID())
				}
				rest(between(rng, time.Microsecond, 30*time.Millisecond), stop)
			}
		})
	}
}

func (s *subscription) lastID() string {
	if len(s.got) == 0 {
		return ""
	}
	return s.got[len(s.got)-1].id
}

// topicMessage is a message of which every byte follows from its number: text in lines, or noise.
func topicMessage(number, size int) string {
	if number%3 == 0 {
		return string(appendMessage(nil, number, 0, int64(size)))
	}
	text := fmt.Sprintf("%0*s", numberLength, strconv.FormatInt(int64(number), 36))
	line := fmt.Sprintf(" line of %d\n", number)
	return (text + strings.Repeat(line, size/len(line)+1))[:size]
}

func (v *topics) do(ctx context.Context, role, method, topic string, number int, body io.Reader, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+v.run.relay.addr+"/topics/"+topic, body)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("", v.run.tokens[role])
	r.Header.Set("User-Agent", fmt.Sprintf("soak/%d", number))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.http.Do(r)
}

func (v *topics) publish(rng *rand.Rand, topic string) {
	p := &publication{number: int(v.run.topicRequests.Add(1)), topic: topic, begun: time.Now()}
	p.size = numberLength + []int{0, 1, 100, 3000, 60 << 10, 300 << 10}[rng.IntN(6)]
	ctx, cancel := context.WithTimeout(context.Background(), capTime)
	defer cancel()
	response, err := v.do(ctx, "producer", "POST", topic, p.number, strings.NewReader(topicMessage(p.number, p.size)))
	if err == nil {
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		p.status, p.id = response.StatusCode, response.Header.Get("Httpipe-Exchange")
		p.subscribers, p.delivered = response.Header.Get("Httpipe-Subscribers"), response.Header.Get("Httpipe-Delivered")
	}
	p.done = time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.publications = append(v.publications, p)
}

// subscribe stays subscribed for a while, as a stream of one kind or the other, or for one message. It may resume after the
// publication with that id.
func (v *topics) subscribe(rng *rand.Rand, topic, after string) subscription {
	s := &subscription{number: int(v.run.topicRequests.Add(1)), topic: topic}
	ctx, cancel := context.WithTimeout(context.Background(), between(rng, time.Millisecond, 3*time.Second))
	defer cancel()
	accept := []string{"*/*", "text/event-stream", "application/x-ndjson", "text/event-stream"}[rng.IntN(4)]
	headers := []string{"Accept", accept}
	s.once = accept == "*/*"
	if accept == "text/event-stream" && after != "" {
		s.resumed = after
		headers = append(headers, "Last-Event-ID", after)
	}
	response, err := v.do(ctx, "consumer", "GET", topic, s.number, nil, headers...)
	if err == nil {
		s.opened, s.registered = time.Now(), response.StatusCode == http.StatusOK && response.ContentLength < 0 && !s.once
		if response.StatusCode == http.StatusOK {
			err = s.receive(accept, response)
		}
		response.Body.Close()
	}
	s.ended, s.left, s.inOrder = time.Now(), ctx.Err() != nil, err == nil
	v.mu.Lock()
	defer v.mu.Unlock()
	v.subscriptions = append(v.subscriptions, s)
	return *s
}

// receive reads a response to its end. It returns an error if the response is broken off.
func (s *subscription) receive(accept string, response *http.Response) error {
	in := bufio.NewReaderSize(response.Body, 64<<10)
	switch accept {
	case "text/event-stream":
		return s.receiveEvents(in)
	case "application/x-ndjson":
		return s.receiveLines(in)
	}
	body, err := io.ReadAll(in)
	if err == nil {
		s.take(response.Header.Get("Httpipe-Exchange"), string(body))
	}
	return err
}

// take takes down a message.
func (s *subscription) take(id, message string) {
	number, err := strconv.ParseInt(message[:min(len(message), numberLength)], 36, 64)
	if err != nil || message != topicMessage(int(number), len(message)) {
		s.wrong = fmt.Sprintf("%s: %.60q (%d bytes)", id, message, len(message))
	}
	s.got = append(s.got, receipt{id, int(number), len(message)})
}

func (s *subscription) receiveLines(in *bufio.Reader) error {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return ended(err)
		}
		if len(line) == 1 {
			continue
		}
		var m struct {
			ID, Text string
			Base64   []byte
		}
		if err := json.Unmarshal(line, &m); err != nil {
			s.wrong = err.Error()
		}
		s.take(m.ID, m.Text+string(m.Base64))
	}
}

// receiveEvents reads server-sent events.
func (s *subscription) receiveEvents(in *bufio.Reader) error {
	var id, event string
	var data []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return ended(err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "id":
			id = value
		case name == "event":
			event = value
		case name == "data":
			data = append(data, value)
		case line != "\n" || data == nil:
		case event == "missed":
			s.missed, s.newest = data[0], id
			event, data = "", nil
		default:
			message := strings.Join(data, "\n")
			if event == "base64" {
				raw, err := base64.StdEncoding.DecodeString(strings.Join(data, ""))
				if err != nil {
					s.wrong = err.Error()
				}
				message = string(raw)
			}
			s.take(id, message)
			event, data = "", nil
		}
	}
}

// ended returns nil at the end of a stream.
func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// A publicationRow is a row of the view publications.
type publicationRow struct {
	id, outcome            string
	subscribers, delivered int
}

// check compares what publishers, subscribers and the log know.
func (v *topics) check(db *sql.DB, h *history, report func(string, ...any)) {
	rows := make(map[string][]publicationRow) // by topic, in order
	byID := make(map[string]publicationRow)
	v.run.rows(db, "SELECT id, namespace || '/' || topic, outcome, subscribers, coalesce(delivered, -1) FROM publications WHERE id > ? ORDER BY id", "", func(r *sql.Rows) error {
		var p publicationRow
		var topic string
		err := r.Scan(&p.id, &topic, &p.outcome, &p.subscribers, &p.delivered)
		rows[topic] = append(rows[topic], p)
		byID[p.id] = p
		v.run.outcomes["publication "+p.outcome]++
		return err
	})
	sizes := make(map[int]int)
	for _, p := range v.publications {
		sizes[p.number] = p.size
		row, recorded := byID[p.id]
		if p.status == http.StatusOK && (!recorded || row.outcome != "published" ||
			p.subscribers != strconv.Itoa(row.subscribers) || p.delivered != strconv.Itoa(row.delivered)) {
			report("a publisher was told 200, %s subscribers, %s delivered, and the log says %+v (%v): %+v", p.subscribers, p.delivered, row, recorded, *p)
		}
	}
	deliveries := make(map[string][]string) // by the agent of the subscription
	v.run.rows(db, "SELECT s.agent, d.publication FROM deliveries d JOIN subscriptions s ON s.id = d.subscription WHERE s.id > ? ORDER BY d.publication", "", func(r *sql.Rows) error {
		var agent, id string
		err := r.Scan(&agent, &id)
		deliveries[agent] = append(deliveries[agent], id)
		return err
	})
	v.run.rows(db, "SELECT outcome, count(*) FROM subscriptions WHERE id > ? GROUP BY outcome", "", func(r *sql.Rows) error {
		var outcome string
		var n int
		err := r.Scan(&outcome, &n)
		v.run.outcomes["subscription "+outcome] = n
		return err
	})
	for _, s := range v.subscriptions {
		s.checkMessages(sizes, report)
		s.checkGaps(rows[s.topic], report)
		v.checkEnds(s, h, report)
		s.checkDeliveries(deliveries[fmt.Sprintf("soak/%d", s.number)], h, report)
	}
}

// checkMessages: each message is whole and of a publication, and none comes twice or out of order.
func (s *subscription) checkMessages(sizes map[int]int, report func(string, ...any)) {
	if s.wrong != "" {
		report("a subscriber got a message that was not published: %s", s.wrong)
	}
	for i, m := range s.got {
		if size, known := sizes[m.number]; !known || m.size != size {
			report("a subscriber got %d bytes of message %d, which has %d", m.size, m.number, size)
		}
		if i > 0 && m.id <= s.got[i-1].id {
			report("a subscriber got %s after %s", m.id, s.got[i-1].id)
		}
	}
}

// checkGaps: what lies between the first and the last message of a subscription, by the log, the subscriber has got. A client
// that resumes is told how many it missed.
func (s *subscription) checkGaps(rows []publicationRow, report func(string, ...any)) {
	if len(s.got) == 0 {
		return
	}
	got := make(map[string]bool)
	for _, m := range s.got {
		got[m.id] = true
	}
	between := 0
	for _, p := range rows {
		if p.outcome == "published" && p.id > s.got[0].id && p.id < s.lastID() && !got[p.id] {
			report("subscriber %d missed %s between the messages that it got: %v", s.number, p.id, s.got)
			return
		}
		if p.id > s.resumed && p.id <= s.newest {
			between++
		}
	}
	if n, err := strconv.Atoi(s.missed); err == nil && n != between {
		report("subscriber %d was told that it missed %d since %s, and it missed %d", s.number, n, s.resumed, between)
	}
}

// checkEnds: a message that was published while a client was subscribed, from before its POST to after the 200, has arrived.
func (v *topics) checkEnds(s *subscription, h *history, report func(string, ...any)) {
	if !s.registered || h.stopping(s.opened, s.ended) {
		return
	}
	for _, p := range v.publications {
		if p.topic == s.topic && p.status == http.StatusOK && p.begun.After(s.opened) && p.done.Add(busy).Before(s.ended) && !h.late(p.begun, s.ended) &&
			!slices.ContainsFunc(s.got, func(m receipt) bool { return m.id == p.id }) {
			report("subscriber %d was subscribed when %s was published, and did not get it: opened %s ended %s (left %v), %v", s.number, p.id, clock(s.opened), clock(s.ended), s.left, s.got)
			return
		}
	}
}

// checkDeliveries: the log's deliveries begin with what the subscriber got. There may be more if it left before it read
// them, or fewer if the server died.
func (s *subscription) checkDeliveries(logged []string, h *history, report func(string, ...any)) {
	if h.stopping(s.opened, s.ended.Add(busy)) || h.full(s.opened, s.ended.Add(busy)) {
		return
	}
	for i, m := range s.got {
		if i >= len(logged) || logged[i] != m.id {
			report("subscriber %d got %v, and the log has %v", s.number, s.got, logged)
			return
		}
	}
}
