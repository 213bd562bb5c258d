package httpapi

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"httpipe/pipe"
	"httpipe/reply"
)

// What can be asked of the audit log.

// deliver lets an exchange happen on a channel, and returns its id.
func (a *audited) deliver(channel, body string, headers ...string) string {
	a.t.Helper()
	p := a.dial().Post(channel, body, headers...)
	a.dial().Get(channel).Answer().Got(body)
	return p.Answer().Is(200).Header.Get(reply.HeaderExchange)
}

// page asks for a page.
func (a *audited) page(path string) (rows []map[string]any, next string) {
	a.t.Helper()
	got := a.dial().Get(path, withKey).Answer().Is(200)
	var page map[string]any
	if err := json.Unmarshal([]byte(got.Text), &page); err != nil {
		a.t.Fatalf("%s: %v: %s", path, err, got.Text)
	}
	for name, value := range page {
		switch value := value.(type) {
		case []any:
			for _, row := range value {
				rows = append(rows, row.(map[string]any))
			}
		case string:
			next = value
		case nil:
			if name != "next" {
				a.t.Errorf("%s: %s is null", path, name)
			}
		}
	}
	return rows, next
}

func TestListExchanges(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	var ids []string
	for _, channel := range []string{"/channels/n/a", "/channels/n/b", "/channels/m/a"} {
		ids = append(ids, r.deliver(channel, "hello"))
	}
	slices.Reverse(ids)
	r.config.Log.Sync()
	for query, want := range map[string][]string{
		"":                                      ids,
		"?namespace=n":                          ids[1:],
		"?namespace=n&channel=a":                ids[2:],
		"?channel=a":                            {ids[0], ids[2]},
		"?outcome=delivered&from=1h":            ids,
		"?outcome=stalled":                      nil,
		"?outcome=open":                         nil,
		"?to=1h":                                nil,
		"?from=2020-01-01T00:00:00%2B01:00":     ids,
		"?from=2020-01-01T00:00:00+01:00":       ids,
		"?from=7d&to=2999-01-01T00:00:00Z":      ids,
		"?limit=1000&from=2999-01-01T00:00:00Z": nil,
	} {
		rows, next := r.page("/audit/exchanges" + query)
		var got []string
		for _, row := range rows {
			got = append(got, row["id"].(string))
		}
		if !slices.Equal(got, want) || next != "" {
			t.Errorf("%s: %q, next %q; want %q", query, got, next, want)
		}
	}
	rows, next := r.page("/audit/exchanges/?limit=2")
	if len(rows) != 2 || next == "" {
		t.Fatalf("a page of 2: %v, next %q", rows, next)
	}
	if rows, next = r.page("/audit/exchanges?limit=2&cursor=" + next); len(rows) != 1 || rows[0]["id"] != ids[2] || next != "" {
		t.Errorf("the next page: %v, next %q", rows, next)
	}
	if rows[0]["bytes"] != 5.0 || rows[0]["channel"] != "a" || rows[0]["producer_addr"] != "127.0.0.1" {
		t.Errorf("a row is %v", rows[0])
	}
}

func TestListRequestsAndChannels(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.dial().Get("/channels/n/a?wait=0").Answer().Failed(408, "timed_out")
	r.dial().Post("/channels/n/b?wait=1ms", "hello").Answer().Failed(408, "timed_out")
	r.config.Log.Sync()
	if rows, _ := r.page("/audit/requests?role=producer&outcome=timed_out&namespace=n"); len(rows) != 1 || rows[0]["channel"] != "b" {
		t.Errorf("producers: %v", rows)
	}
	if rows, _ := r.page("/audit/requests?from=1h"); len(rows) != 2 || rows[0]["channel"] != "b" {
		t.Errorf("all: %v", rows)
	}
	if rows, _ := r.page("/audit/channels?namespace=n"); len(rows) != 1 || rows[0]["reason"] != "idle" || rows[0]["exchanges"] != 0.0 {
		t.Errorf("channels: %v", rows)
	}
	r.dial().Get("/channels/n/open")
	r.rows(2, "SELECT id FROM channels")
	if rows, _ := r.page("/audit/channels?channel=open"); len(rows) != 1 || rows[0]["reason"] != nil || rows[0]["exchanges"] != nil {
		t.Errorf("one that is open: %v", rows)
	}
}

func TestBadFilters(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	for query, names := range map[string]string{
		"exchanges?limit=1001":           "limit",
		"exchanges?limit=0":              "limit",
		"exchanges?limit=x":              "limit",
		"exchanges?outcome=lost":         "outcome",
		"exchanges?outcome=":             "outcome",
		"requests?outcome=open":          "outcome",
		"exchanges?role=producer":        `"role"`,
		"requests?role=boss":             "role",
		"exchanges?cursor=0":             "cursor",
		"exchanges?cursor=01a20434":      "cursor",
		"exchanges?from=yesterday":       "from",
		"exchanges?from=-5h":             "from",
		"exchanges?from=1h7d":            "from",
		"exchanges?to=5":                 "to",
		"exchanges?to=1000000d":          "to",
		"exchanges?from=1h&to=2h":        "to is before from",
		"exchanges?from=1h&from=2h":      "from is given 2 times",
		"exchanges?cursor='":             "cursor",
		"requests?cursor=x":              "cursor",
		"exchanges?namespace=":           "namespace",
		"exchanges?namespace=%00":        "namespace",
		"exchanges?channel=a/b":          "channel",
		"exchanges?colour=red":           `"colour"`,
		"exchanges?within=1s":            `"within"`,
		"exchanges?namespace=n;x=1":      "query",
		"channels?outcome=delivered":     `"outcome"`,
		"summary?limit=5":                `"limit"`,
		"summary?within=1h":              "within",
		"summary?within=0":               "within",
		"summary?from=%zz":               "query",
		"requests?namespace=n&channel=.": "channel",
	} {
		if a := r.dial().Get("/audit/"+query, withKey).Answer().Failed(400, "bad_filter"); !strings.Contains(a.Text, names) {
			t.Errorf("%s: %q does not name %s", query, a.Text, names)
		}
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	for range 3 {
		r.deliver("/channels/n/=1+1", "hello", "User-Agent: @agent")
	}
	r.config.Log.Sync()
	a := r.dial().Get("/audit/exchanges", "Accept: application/x-ndjson", withKey).Answer().Is(200)
	lines := strings.Split(strings.TrimSuffix(a.Text, "\n"), "\n")
	if len(lines) != 3 || a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("NDJSON: %q, %v", a.Text, a.Header)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || row["channel"] != "=1+1" || row["producer_agent"] != "@agent" {
		t.Errorf("a line is %q, %v", lines[0], err)
	}
	a = r.dial().Get("/audit/exchanges?limit=2", "Accept: text/html;q=0.5, text/csv", withKey).Answer().Is(200)
	records, err := csv.NewReader(strings.NewReader(a.Text)).ReadAll()
	if err != nil || len(records) != 3 || records[0][0] != "id" || records[1][2] != "'=1+1" {
		t.Errorf("CSV: %q, %v", records, err)
	}
	a = r.dial().Get("/audit/requests?outcome=left", "Accept: text/csv", withKey).Answer().Is(200)
	if !strings.HasPrefix(a.Text, "namespace,channel,role,") || strings.Count(a.Text, "\n") != 1 {
		t.Errorf("CSV without rows: %q", a.Text)
	}
	if a = r.dial().Request("HEAD", "/audit/exchanges", "Accept: text/csv", withKey).Answer().Is(200); a.Text != "" {
		t.Errorf("HEAD has the body %q", a.Text)
	}
	a = r.dial().Get("/audit/exchanges", "Accept: application/x-ndjson", "Accept-Encoding: gzip", withKey).Answer().Is(200)
	unzipped, err := gzip.NewReader(strings.NewReader(a.Text))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unzipped); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("compressed: %q, %v", text, err)
	}
	if a = r.dial().Get("/audit/exchanges", "Accept: text/csv;q=0, text/html", withKey).Answer().Is(200); a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("for a browser: %v", a.Header)
	}
}

func TestShowExchangeAndReceipt(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	id := r.deliver(here, "hello")
	var row map[string]any
	if err := json.Unmarshal([]byte(r.dial().Get("/audit/exchanges/"+id, withKey).Answer().Is(200).Text), &row); err != nil || row["id"] != id || row["consumer_addr"] != "127.0.0.1" {
		t.Errorf("the exchange is %v, %v", row, err)
	}
	a := r.dial().Get("/audit/exchanges/"+id, "Accept: text/csv", withKey).Answer().Is(200)
	if strings.Count(a.Text, "\n") != 2 {
		t.Errorf("as CSV: %q", a.Text)
	}
	a = r.dial().Get("/exchanges/" + id + "/").Answer().Is(200)
	if !strings.Contains(a.Text, `"outcome":"delivered","bytes":5,`) || strings.Contains(a.Text, "127.0.0.1") {
		t.Errorf("the receipt is %q", a.Text)
	}
	for _, path := range []string{"/audit/exchanges/", "/exchanges/"} {
		r.dial().Get(path+"019f0a3c-7d2e-7c41-9d55-0242ac120002", withKey).Answer().Failed(404, "not_found")
		r.dial().Get(path+"x%00'", withKey).Answer().Failed(404, "not_found")
	}
	r.dial().Get("/exchanges").Answer().Failed(404, "not_found")
	r.dial().Get("/exchanges/a/b").Answer().Failed(404, "not_found")

	// While it runs, also before its record is on disk.
	unlock := r.lock()
	p := r.dial().Request("POST", here, chunked).Say(chunk("hello"))
	running := r.dial().Get(here).Head().Header.Get(reply.HeaderExchange)
	asking := r.dial().Get("/exchanges/" + running)
	asking.Unanswered()
	unlock()
	if a := asking.Answer().Is(200); !strings.Contains(a.Text, `"outcome":"open","bytes":null,`) || !strings.Contains(a.Text, `"ended_at":null}`) {
		t.Errorf("the receipt of one that runs is %q", a.Text)
	}
	if rows, _ := r.page("/audit/exchanges?outcome=open"); len(rows) != 1 || rows[0]["id"] != running {
		t.Errorf("what is open: %v", rows)
	}
	p.HangUp()
	r.Ended(pipe.Delivered)
	r.Ended(pipe.ProducerLeft)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.deliver("/channels/n/a", "hello")
	r.deliver("/channels/m/b", "you")
	r.dial().Get("/channels/n/a?wait=0").Answer().Is(408)
	r.dial().Post("/topics/n/a", "hello").Answer().Is(200)
	r.rows(1, "SELECT id FROM requests")
	r.config.Log.Sync()
	var s struct {
		From, Since string
		Complete    bool
		Step        float64 `json:"step_s"`
		Total       struct {
			Exchanges, Bytes int64
			Outcomes         map[string]int64
		}
		Buckets []any
	}
	a := r.dial().Get("/audit/summary?within=5s", withKey).Answer().Is(200) // 50 ms, without it, may pass on a busy machine
	if err := json.Unmarshal([]byte(a.Text), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Complete || s.Since != s.From || s.Step != 900 || s.Total.Exchanges != 2 || s.Total.Bytes != 8 || s.Total.Outcomes["delivered"] != 2 || len(s.Buckets) == 0 {
		t.Errorf("the summary is %s", a.Text)
	}
	oldest := r.rows(1, "SELECT min(matched_at) FROM exchanges")[0]
	if beside := `"unmatched":{"timed_out":1},"publications":1,"deliveries":0}`; !strings.Contains(a.Text, `"oldest":"`+oldest+`"`) || strings.Count(a.Text, beside) != 2 {
		t.Errorf("the summary is %s, want the oldest %s and, in total and in a bucket, %s", a.Text, oldest, beside)
	}
	a = r.dial().Get("/audit/summary?namespace=n&from=1h&within=5s", withKey).Answer().Is(200)
	if err := json.Unmarshal([]byte(a.Text), &s); err != nil || s.Total.Exchanges != 1 || s.Step != 60 {
		t.Errorf("of a namespace: %s, %v", a.Text, err)
	}
	a = r.dial().Get("/audit/summary", "Accept: text/csv", withKey).Answer().Is(200)
	if !strings.HasPrefix(a.Text, "from,exchanges,bytes,open,delivered,") {
		t.Errorf("as CSV: %s", a.Text)
	}
	a = r.dial().Get("/audit/summary?outcome=stalled", "Accept: application/x-ndjson", withKey).Answer().Is(200)
	if !strings.Contains(a.Text, `"exchanges":0,`) || strings.Count(a.Text, "\n") != 1 {
		t.Errorf("without any matching exchange, the summary is %s", a.Text)
	}
}

var auditPaths = []string{"/audit/publications/019f0a3c-7d2e-7c41-9d55-0242ac120002", "/audit/exchanges", "/audit/requests", "/audit/channels", "/audit/summary",
	"/audit/exchanges/019f0a3c-7d2e-7c41-9d55-0242ac120002", "/exchanges/019f0a3c-7d2e-7c41-9d55-0242ac120002"}

func TestNoLogNoHistory(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, path := range auditPaths {
		if a := r.dial().Get(path).Answer().Failed(404, "not_found"); !strings.Contains(a.Text, "no audit log") {
			t.Errorf("%s: %q", path, a.Text)
		}
	}
}

// A log that is away cannot be read, and the server says so once it is asked.
func TestHistoryOfAFailingLog(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.fail()
	for _, path := range auditPaths {
		r.dial().Get(path, withKey).Answer().Failed(503, "audit_unavailable")
	}
	r.dial().Get("/audit/exchanges", "Accept: text/csv", withKey).Answer().Failed(503, "audit_unavailable")
	r.recover()
	r.dial().Get("/audit/exchanges", withKey).Answer().Is(200)
	r.Journal.Forgive("the audit log cannot be read")
}

// The permissions for the history. A receipt needs none: every client that knows its id can read it.
func TestHistoryTakesPermission(t *testing.T) {
	t.Parallel()
	r := startAudited(t, guarded(t, "produce:*/*", "consume:*/*"))
	id, other := r.deliver("/channels/jobs/a", "hello"), r.deliver("/channels/other/a", "hello")
	r.config.Log.Sync()
	for _, test := range []struct {
		grants string
		path   string
		status int
	}{
		{"", "/audit/exchanges", 401},
		{"", "/audit/summary", 401},
		{"", "/audit/exchanges/" + id, 401},
		{"", "/exchanges/" + id, 200},
		{"look:*/*", "/audit/exchanges", 403},
		{"audit:*/*", "/audit/exchanges", 200},
		{"audit:*/*", "/audit/exchanges?channel=a", 200},
		{"audit:*/*", "/audit/exchanges/" + id, 200},
		{"audit:*/*", "/audit/exchanges/none", 404},
		{"audit:jobs/*", "/audit/exchanges", 403},
		{"audit:jobs/*", "/audit/requests", 403},
		{"audit:jobs/*", "/audit/channels", 403},
		{"audit:jobs/*", "/audit/summary", 403},
		{"audit:jobs/*", "/audit/exchanges?channel=a", 403},
		{"audit:jobs/*", "/audit/exchanges?namespace=jobs", 200},
		{"audit:jobs/*", "/audit/summary?namespace=jobs&channel=a", 200},
		{"audit:jobs/*", "/audit/summary?namespace=jobs", 200},
		{"audit:jobs/*", "/audit/exchanges?namespace=other", 403},
		{"audit:jobs/*", "/audit/exchanges/" + id, 200},
		{"audit:jobs/*", "/audit/exchanges/" + other, 403},
		{"audit:jobs/*", "/audit/exchanges/none", 403},
		{"audit:jobs/b", "/audit/exchanges?namespace=jobs", 403},
		{"audit:jobs/b", "/audit/exchanges?namespace=jobs&channel=b", 200},
	} {
		var headers []string
		if test.grants != "" {
			headers = []string{bearer(sign(t, secret, test.grants))}
		}
		if a := r.dial().Get(test.path, headers...).Answer(); a.StatusCode != test.status {
			t.Errorf("%q, %s: %d, want %d", test.grants, test.path, a.StatusCode, test.status)
		}
	}
	// The age of the whole log is that of rows that a token for a part of it must not see.
	for token, hidden := range map[string]bool{sign(t, secret, "audit:*/*"): false, sign(t, secret, "audit:jobs/*"): true} {
		a := r.dial().Get("/audit/summary?namespace=jobs", bearer(token)).Answer().Is(200)
		if strings.Contains(a.Text, `"oldest":null`) != hidden {
			t.Errorf("%s, want null: %t", a.Text, hidden)
		}
	}
}

// An export that cannot go on is broken off, and does not look whole.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.deliver(here, "hello")
	r.config.Log.Sync()
	const many = 60_000 // more than fits the buffers of the connection
	_, err := r.db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO exchange SELECT printf('00000000-0000-7000-8000-%012x', i), 1, 'n', 'c', hex(zeroblob(100)), 0, 0, 0,
		'', '', '', '', 'delivered', 5, 0, '', '', '', '', NULL, NULL, NULL FROM n`, many)
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial().Get("/audit/exchanges", "Accept: application/x-ndjson", withKey)
	response := c.Head()
	r.fail()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%d lines look whole", strings.Count(string(body), "\n"))
	}
	r.recover()
}
