package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpipe/metrics"
)

// What is counted, and that it is counted once.

// A counted relay has an audit log and metrics.
type counted struct {
	*audited
	url string // of the metrics
}

func startCounted(t *testing.T, changes ...func(*Config)) *counted {
	t.Helper()
	m := metrics.New()
	a := startAudited(t, append(changes, func(c *Config) { c.Metrics = m })...)
	return &counted{a, scraped(t, m)}
}

// scraped lets m be scraped, at the URL that it returns.
func scraped(t *testing.T, m *metrics.Metrics) string {
	server := httptest.NewServer(m.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// scrape returns all samples of ours, by their names without httpipe_ and labels.
func scrape(t *testing.T, url string) map[string]string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the scrape is %s, %v\n%s", resp.Status, err, text)
	}
	samples := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^httpipe_(\S+) (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		samples[m[1]] = strconv.FormatFloat(value, 'f', -1, 64) // and not as 4.2e+06
	}
	return samples
}

var anEvent = regexp.MustCompile(`^(exchanges_total|requests_unmatched_total|errors_total|bytes_total)\b|_count`)

// counts asserts what has been counted, soon: events as they are scraped, everything that is not 0.
func (r *counted) counts(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	var got []string
	soon := time.Now().Add(patience)
	for {
		got = nil
		for name, value := range scrape(r.t, r.url) {
			if anEvent.MatchString(name) && value != "0" {
				got = append(got, name+" "+value)
			}
		}
		slices.Sort(got)
		if slices.Equal(got, want) || time.Now().After(soon) {
			break
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("counted is\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// began is what is counted of an exchange that began, and ended, after so many bytes, without those that
// depend on its end.
func began(bytes string) []string {
	counts := []string{`wait_seconds_count{role="producer"} 1`, `wait_seconds_count{role="consumer"} 1`, "transfer_seconds_count 1"}
	if bytes != "0" {
		counts = append(counts, "bytes_total "+bytes)
	}
	return counts
}

const getHere = "GET " + here + " HTTP/1.1\r\nHost: relay\r\n\r\n"

// exchangeEnds are all the ways in which an exchange can end.
var exchangeEnds = []struct {
	name    string // the outcome, and maybe a remark
	change  func(*Config)
	happens func(*counted)
	want    []string // besides its outcome, and that it began
}{
	{"delivered", nil, func(r *counted) {
		p := r.dial().Post(here, "hello")
		r.dial().Get(here).Answer().Got("hello")
		p.Answer().Is(200)
	}, []string{"audit_commit_seconds_count 1"}},
	{"consumer_left", nil, func(r *counted) {
		p, c := r.dial().Request("POST", here, chunked).Say(chunk("hello")), r.dial()
		reads(r.t, c.Say(getHere).Head().Body, "hello")
		c.HangUp()
		p.Answer().Failed(502, "consumer_left")
	}, []string{`errors_total{code="consumer_left"} 1`}},
	{"producer_left", nil, func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		p.Say("zz\r\n").Answer().Failed(400, "producer_left")
	}, []string{`errors_total{code="producer_left"} 1`}},
	{"stalled", stallAfter(500 * time.Millisecond), func(r *counted) {
		p, _ := r.halfway(length(1<<30), getHere)
		go io.Copy(p, io.LimitReader(zeros{}, 1<<30))
		p.Answer().Failed(504, "stalled")
	}, []string{`errors_total{code="stalled"} 1`}},
	{"silent", silentFor(50 * time.Millisecond), func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		p.Answer().Failed(408, "silent")
	}, []string{`errors_total{code="silent"} 1`}},
	{"too_large", maxBody(7), func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		p.Say(chunk("hello")).Answer().Failed(413, "too_large")
	}, []string{`errors_total{code="too_large"} 1`}},
	{"deleted", nil, func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		r.dial().Request("DELETE", here).Answer().Is(204)
		p.Answer().Failed(410, "deleted")
	}, []string{`errors_total{code="deleted"} 1`}},
	{"shut_down", nil, func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		defer r.shutDown(time.Millisecond)()
		p.Answer().Failed(503, "shut_down")
	}, []string{`errors_total{code="shut_down"} 1`}},
	{"unrecorded", nil, func(r *counted) {
		p, _ := r.halfway(chunked, getHere)
		r.fail()
		p.Say(chunk("")).Answer().Failed(503, "audit_unavailable")
		r.recover()
	}, []string{`errors_total{code="audit_unavailable"} 1`, "audit_commit_seconds_count 1"}},
	{"unrecorded, strict", func(c *Config) { c.Strict = true }, func(r *counted) {
		defer r.lock()()
		p, c := r.dial().Post(here, "hello"), r.dial().Get(here)
		p.Answer().Failed(503, "audit_unavailable")
		c.Answer().Failed(503, "audit_unavailable")
	}, []string{`errors_total{code="audit_unavailable"} 2`}},
}

// TestExchangesAreCounted has one end in each way.
func TestExchangesAreCounted(t *testing.T) {
	for _, test := range exchangeEnds {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := startCounted(t, orNothing(test.change))
			test.happens(r)
			row := r.rows(1, "SELECT outcome, bytes FROM exchanges WHERE outcome <> 'open'")[0]
			outcome, bytes, _ := strings.Cut(row, " ")
			if want, _, _ := strings.Cut(test.name, ","); outcome != want {
				t.Errorf("on record is %s", row)
			}
			r.counts(slices.Concat(began(bytes), test.want, []string{`exchanges_total{outcome="` + outcome + `"} 1`})...)
		})
	}
}

func orNothing(change func(*Config)) func(*Config) {
	if change == nil {
		return func(*Config) {}
	}
	return change
}

// TestUnmatchedRequestsAreCounted has one of them end in each way.
func TestUnmatchedRequestsAreCounted(t *testing.T) {
	r := startCounted(t, maxBody(10), silentFor(500*time.Millisecond), func(c *Config) { c.Limits.PerChannel = 2 })
	want := []string{"audit_commit_seconds_count 1"}
	counted := func(role, outcome string) {
		want = append(want, `requests_unmatched_total{outcome="`+outcome+`",role="`+role+`"} 1`)
	}
	c := r.dial().Get(here)
	r.Waiting(0, 1)
	c.HangUp()
	counted("consumer", "left")
	r.Vanished()
	p := r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	p.HangUp()
	counted("producer", "left")
	r.Vanished()
	r.dial().Get(here + "?wait=0").Answer()
	counted("consumer", "timed_out")
	r.dial().Post(here+"?wait=1ms", "hello").Answer()
	counted("producer", "timed_out")
	r.dial().Post(here, "eleven byte").Answer()
	counted("producer", "too_large")
	r.dial().Request("POST", here, chunked).Say("zz\r\n").Answer()
	counted("producer", "producer_left")
	first := r.dial().Get(here)
	r.Waiting(0, 1)
	second := r.dial().Get(here)
	r.Waiting(0, 2)
	r.dial().Get(here).Answer()
	counted("consumer", "refused")
	r.dial().Request("POST", here, chunked).Answer()
	counted("producer", "silent")
	p = r.dial().Post(here, "hello") // whose exchange is no request that was never matched
	first.Answer().Got("hello")
	p.Answer().Is(200)
	r.dial().Request("DELETE", here).Answer().Is(204)
	second.Answer()
	counted("consumer", "deleted")

	log := r.rows(len(want)-1, "SELECT outcome, role FROM requests ORDER BY 1, 2")
	for _, row := range log {
		outcome, role, _ := strings.Cut(row, " ")
		if !slices.Contains(want, `requests_unmatched_total{outcome="`+outcome+`",role="`+role+`"} 1`) {
			t.Errorf("on record is %s", row)
		}
	}
	r.counts(slices.Concat(want, began("5"), []string{
		`exchanges_total{outcome="delivered"} 1`,
		`errors_total{code="bad_request"} 1`,
		`errors_total{code="deleted"} 1`,
		`errors_total{code="refused"} 1`,
		`errors_total{code="silent"} 1`,
		`errors_total{code="timed_out"} 2`,
		`errors_total{code="too_large"} 1`,
	})...)
}

// A refusal that never came to the broker is an outcome of a request as well.
func TestRefusalsForWantOfATokenAreCounted(t *testing.T) {
	m := metrics.New()
	r := start(t, guarded(t), func(c *Config) { c.Metrics = m })
	r.dial().Get(here).Answer().Is(401)
	r.dial().Post(here, "hello").Answer().Is(401)
	r.dial().Request("DELETE", here).Answer().Is(401)
	scrape := httptest.NewRecorder()
	m.Handler().ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for _, role := range []string{"producer", "consumer"} {
		if want := `httpipe_requests_unmatched_total{outcome="refused",role="` + role + "\"} 1\n"; !strings.Contains(scrape.Body.String(), want) {
			t.Errorf("the scrape has no %s", want)
		}
	}
}

// Whatever is no success is counted by its code, be there a log or not.
func TestErrorsAreCounted(t *testing.T) {
	m := metrics.New()
	r := &counted{&audited{testServer: start(t, func(c *Config) { c.Metrics = m })}, scraped(t, m)}
	for _, path := range []string{"/channels/n/%20", here + "?wait=soon", "/nothing", here + "?wait=0"} {
		r.dial().Get(path).Answer()
	}
	r.dial().Get(here, "Purpose: prefetch").Answer().Failed(400, "not_a_consumer")
	r.dial().Request("PATCH", here).Answer().Failed(405, "method")
	r.dial().Post(here, "x", "Content-Type: multipart/form-data").Answer().Failed(400, "bad_request")
	p := r.dial().Request("POST", here, chunked).Say(chunk("hello") + chunk(""))
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
	r.dial().Get("/state").Answer().Is(200)
	r.counts(append(began("5"),
		`exchanges_total{outcome="delivered"} 1`,
		`requests_unmatched_total{outcome="timed_out",role="consumer"} 1`,
		`errors_total{code="bad_name"} 1`,
		`errors_total{code="bad_request"} 1`,
		`errors_total{code="bad_wait"} 1`,
		`errors_total{code="method"} 1`,
		`errors_total{code="not_a_consumer"} 1`,
		`errors_total{code="not_found"} 1`,
		`errors_total{code="timed_out"} 1`,
	)...)
	for name := range scrape(t, r.url) {
		if strings.HasPrefix(name, "audit_") {
			t.Errorf("without a log there is %s", name)
		}
	}
}

// TestStateIsScraped: what there is now.
func TestStateIsScraped(t *testing.T) {
	r := startCounted(t)
	is := func(want ...string) {
		t.Helper()
		got := scrape(t, r.url)
		for _, w := range want {
			name, value, _ := strings.Cut(w, " ")
			if got[name] != value {
				t.Errorf("%s is %q, want %s", name, got[name], value)
			}
		}
	}
	producers, consumers := `requests_waiting{role="producer"} `, `requests_waiting{role="consumer"} `
	is(producers+"0", consumers+"0", "exchanges_running 0", "bytes_total 0", "audit_failing 0", "audit_rows_waiting 0", "audit_rows_lost_total 0")
	if size := scrape(t, r.url)["audit_file_bytes"]; size == "0" {
		t.Error("the log's file has no size")
	}
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	r.dial().Get(here)
	r.dial().Get(here)
	r.dial().Post("/channels/n/other", "hello")
	r.Waiting(0, 2)
	eventually(t, patience, "all wait", func() bool { return r.broker.Load().Producers == 1 })
	is(producers+"1", consumers+"2", "exchanges_running 1", "bytes_total 5") // which are those of the exchange that runs
	p.Say(chunk("world"))
	reads(t, body, "world")
	is("exchanges_running 1", "bytes_total 10")
	eventually(t, patience, "the write-ahead log has a size", func() bool { return scrape(t, r.url)["audit_wal_bytes"] != "0" })

	r.fail()
	p.Say(chunk("")).Answer()
	got := scrape(t, r.url)
	if got["audit_failing"] != "1" || got["audit_rows_waiting"] == "0" || got["audit_file_bytes"] != "0" {
		t.Errorf("of a log that was taken away: %v", got)
	}
}
