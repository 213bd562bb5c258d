package browser

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// row is an object of JSON.
type row = map[string]any

// A stubbed is a server whose page is the real one and whose books are made up: far more than a test could let happen.
type stubbed struct {
	t   *testing.T
	url string

	mu     sync.Mutex // guards the rest
	rows   map[string][]row
	sums   row
	gap    int // how many pages are empty before one that is not
	asked  []url.Values
	refuse func(w http.ResponseWriter, r *http.Request) bool // has answered
	view   row
	news   chan struct{}
	cut    chan struct{}
}

// stub serves made up books behind the real page.
func stub(t *testing.T) *stubbed {
	t.Helper()
	s := &stubbed{t: t, rows: make(map[string][]row), news: make(chan struct{}), cut: make(chan struct{}), view: view(nil, nil)}
	s.sums = summary(time.Now().Add(-24*time.Hour), 0)
	s.url = proxied(t, kit.Start(t, t.TempDir()), func(w http.ResponseWriter, r *http.Request) bool {
		path, data := strings.CutPrefix(r.URL.Path, "/audit/")
		if data {
			s.answer(w, r, path)
		}
		return !data
	})
	return s
}

func (s *stubbed) answer(w http.ResponseWriter, r *http.Request, path string) {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil && refuse(w, r) {
		return
	}
	kind, id, one := strings.Cut(path, "/")
	switch {
	case path == "live":
		s.stream(w, r)
	case path == "summary":
		s.json(w, s.sums)
	case one:
		for _, row := range s.rows[kind] {
			if row["id"] == id {
				s.json(w, row)
			}
		}
	default:
		s.page(w, r.URL.Query(), kind)
	}
}

func (s *stubbed) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// page answers with as many rows as the limit says, behind the cursor.
func (s *stubbed) page(w http.ResponseWriter, query url.Values, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, query)
	from, _ := strconv.Atoi(query.Get("cursor"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	if s.gap > 0 {
		limit = 0
		s.gap--
	}
	rows := s.rows[kind][from:min(from+limit, len(s.rows[kind]))]
	next := any(nil)
	if from+limit < len(s.rows[kind]) {
		next = strconv.Itoa(from + limit)
	}
	s.json(w, row{kind: append([]row{}, rows...), "next": next})
}

// stream sends the view, and each that follows, until the stream is cut.
func (s *stubbed) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		s.mu.Lock()
		event, news, cut := s.view, s.news, s.cut
		s.mu.Unlock()
		data, _ := json.Marshal(event)
		fmt.Fprintf(w, "data: %s\n\n", data)
		w.(http.Flusher).Flush()
		select {
		case <-news:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// show sends another view to all streams.
func (s *stubbed) show(v row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view = v
	close(s.news)
	s.news = make(chan struct{})
}

// answerWith lets f answer first, if it wants to.
func (s *stubbed) answerWith(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// queries returns the queries of the requests for lists.
func (s *stubbed) queries() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// asks waits until the page has asked for the records from then on.
func (s *stubbed) asks(t *testing.T, from string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		queries := s.queries()
		if last := queries[len(queries)-1]; last.Get("from") == from {
			return
		} else if time.Since(began) > 10*time.Second {
			t.Fatalf("the page asks for %v, want from %s", last, from)
		}
	}
}

// view returns the event that the stream sends for those rows.
func view(waiting, running []row) row {
	roles := map[any]int{}
	for _, w := range waiting {
		roles[w["role"]]++
	}
	shown := waiting[:min(len(waiting), 1000)]
	return row{"at": stamp(time.Now()), "producers": roles["producer"], "consumers": roles["consumer"], "exchanges": len(running),
		"waiting": append([]row{}, shown...), "running": append([]row{}, running...), "waiting_omitted": len(waiting) - len(shown), "running_omitted": 0}
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func waiter(channel, role string, age time.Duration, agent string) row {
	return row{"namespace": "v1", "channel": channel, "role": role, "arrived_at": stamp(time.Now().Add(-age)), "addr": "10.0.0.7", "agent": agent}
}

func runner(id, channel string, age time.Duration, bytes, length, rate int64) row {
	r := row{"id": id, "namespace": "v1", "channel": channel, "matched_at": stamp(time.Now().Add(-age)), "bytes": bytes, "bytes_per_second": rate,
		"producer_addr": "10.0.0.7", "consumer_addr": "2001:db8::17", "producer_agent": "curl/8.14.1", "consumer_agent": "Mozilla/5.0 (X11; Linux x86_64)"}
	if length > 0 {
		r["length"], r["progress"] = length, float64(bytes)/float64(length)
		r["remaining_ms"] = (length - bytes) * 1000 / cmp.Or(rate, 1)
	}
	return r
}

// exchanged makes up n exchanges, the newest first.
func exchanged(n int) (rows []row) {
	rng := rand.New(rand.NewPCG(1, 2))
	outcomes := []string{"delivered", "delivered", "delivered", "delivered", "delivered", "delivered", "consumer_left", "stalled", "deleted", "interrupted"}
	for i := range n {
		at := time.Now().Add(-time.Duration(i) * 37 * time.Second)
		bytes := int64(math.Exp(rng.Float64() * 20))
		rows = append(rows, row{"id": fmt.Sprintf("0199b0a0-0000-7000-8000-%012d", i), "namespace": "v1", "channel": fmt.Sprintf("job-%d", i%7),
			"outcome": outcomes[rng.IntN(len(outcomes))], "bytes": bytes, "content_type": "application/octet-stream",
			"matched_at": stamp(at), "ended_at": stamp(at.Add(time.Second)), "duration_ms": rng.IntN(90_000),
			"producer_wait_ms": rng.IntN(3000), "consumer_wait_ms": rng.IntN(900_000), "producer_addr": "10.0.0.7", "consumer_addr": "2001:db8::17",
			"producer_agent": "curl/8.14.1", "consumer_agent": "Mozilla/5.0 (X11; Linux x86_64)", "producer_subject": "", "consumer_subject": "",
			"producer_request_id": "", "consumer_request_id": "", "life": i})
	}
	return rows
}

// summary makes up a summary of n buckets since then.
func summary(from time.Time, n int) row {
	rng := rand.New(rand.NewPCG(1, 2))
	from = from.Truncate(15 * time.Minute)
	total := row{"exchanges": 0, "bytes": 0, "outcomes": row{}, "unmatched": row{}, "publications": 41 * n, "deliveries": 133 * n, "producer_wait_ms": row{"median": 12, "p95": 310}, "consumer_wait_ms": row{"median": 8400, "p95": 61_000}}
	buckets := []row{}
	for i := range n {
		delivered := int(200 + 180*math.Sin(float64(i)/12) + float64(rng.IntN(40)))
		left, bad := rng.IntN(12), max(0, rng.IntN(30)-24)
		outcomes := row{"delivered": delivered, "consumer_left": left, "interrupted": bad, "deleted": 3}
		for outcome, k := range outcomes {
			sum, _ := total["outcomes"].(row)[outcome].(int)
			total["outcomes"].(row)[outcome] = sum + k.(int)
		}
		unmatched := row{"timed_out": rng.IntN(25), "left": rng.IntN(5)}
		for outcome, k := range unmatched {
			sum, _ := total["unmatched"].(row)[outcome].(int)
			total["unmatched"].(row)[outcome] = sum + k.(int)
		}
		count, bytes := delivered+left+bad+3, delivered*3_400_000
		total["exchanges"], total["bytes"] = total["exchanges"].(int)+count, total["bytes"].(int)+bytes
		if i > 40 && i < 46 {
			continue
		}
		buckets = append(buckets, row{"from": stamp(from.Add(time.Duration(i) * 15 * time.Minute)), "exchanges": count, "bytes": bytes, "outcomes": outcomes,
			"unmatched": unmatched, "publications": 41, "deliveries": 133,
			"producer_wait_ms": row{"median": 5 + rng.IntN(20), "p95": 100 + rng.IntN(1500)}, "consumer_wait_ms": row{"median": 4000 + rng.IntN(9000), "p95": 30_000 + rng.IntN(90_000)}})
	}
	return row{"from": stamp(from), "to": stamp(from.Add(24 * time.Hour)), "since": stamp(from), "oldest": stamp(from.Add(-time.Hour)), "complete": true, "step_s": 900, "total": total, "buckets": buckets}
}
