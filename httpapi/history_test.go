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
	p := a.dial().post(channel, body, headers...)
	a.dial().get(channel).answer().got(body)
	return p.answer().is(200).Header.Get(reply.HeaderExchange)
}

// page asks for a page.
func (a *audited) page(path string) (rows []map[string]any, next string) {
	a.t.Helper()
	got := a.dial().get(path, withKey).answer().is(200)
	var page map[string]any
	if err := json.Unmarshal([]byte(got.body), &page); err != nil {
		a.t.Fatalf("%s: %v: %s", path, err, got.body)
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
	r.dial().get("/channels/n/a?wait=0").answer().failed(408, "timed_out")
	r.dial().post("/channels/n/b?wait=1ms", "hello").answer().failed(408, "timed_out")
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
	r.dial().get("/channels/n/open")
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
		if a := r.dial().get("/audit/"+query, withKey).answer().failed(400, "bad_filter"); !strings.Contains(a.body, names) {
			t.Errorf("%s: %q does not name %s", query, a.body, names)
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
	a := r.dial().get("/audit/exchanges", "Accept: application/x-ndjson", withKey).answer().is(200)
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	if len(lines) != 3 || a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("NDJSON: %q, %v", a.body, a.Header)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || row["channel"] != "=1+1" || row["producer_agent"] != "@agent" {
		t.Errorf("a line is %q, %v", lines[0], err)
	}
	a = r.dial().get("/audit/exchanges?limit=2", "Accept: text/html;q=0.5, text/csv", withKey).answer().is(200)
	records, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(records) != 3 || records[0][0] != "id" || records[1][2] != "'=1+1" {
		t.Errorf("CSV: %q, %v", records, err)
	}
	a = r.dial().get("/audit/requests?outcome=left", "Accept: text/csv", withKey).answer().is(200)
	if !strings.HasPrefix(a.body, "namespace,channel,role,") || strings.Count(a.body, "\n") != 1 {
		t.Errorf("CSV without rows: %q", a.body)
	}
	if a = r.dial().request("HEAD", "/audit/exchanges", "Accept: text/csv", withKey).answer().is(200); a.body != "" {
		t.Errorf("HEAD has the body %q", a.body)
	}
	a = r.dial().get("/audit/exchanges", "Accept: application/x-ndjson", "Accept-Encoding: gzip", withKey).answer().is(200)
	unzipped, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unzipped); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("compressed: %q, %v", text, err)
	}
	if a = r.dial().get("/audit/exchanges", "Accept: text/csv;q=0, text/html", withKey).answer().is(200); a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("for a browser: %v", a.Header)
	}
}

func TestShowExchangeAndReceipt(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	id := r.deliver(here, "hello")
	var row map[string]any
	if err := json.Unmarshal([]byte(r.dial().get("/audit/exchanges/"+id, withKey).answer().is(200).body), &row); err != nil || row["id"] != id || row["consumer_addr"] != "127.0.0.1" {
		t.Errorf("the exchange is %v, %v", row, err)
	}
	a := r.dial().get("/audit/exchanges/"+id, "Accept: text/csv", withKey).answer().is(200)
	if strings.Count(a.body, "\n") != 2 {
		t.Errorf("as CSV: %q", a.body)
	}
	a = r.dial().get("/exchanges/" + id + "/").answer().is(200)
	if !strings.Contains(a.body, `"outcome":"delivered","bytes":5,`) || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("the receipt is %q", a.body)
	}
	for _, path := range []string{"/audit/exchanges/", "/exchanges/"} {
		r.dial().get(path+"019f0a3c-7d2e-7c41-9d55-0242ac120002", withKey).answer().failed(404, "not_found")
		r.dial().get(path+"x%00'", withKey).answer().failed(404, "not_found")
	}
	r.dial().get("/exchanges").answer().failed(404, "not_found")
	r.dial().get("/exchanges/a/b").answer().failed(404, "not_found")

	// While it runs, also before its record is on disk.
	unlock := r.lock()
	p := r.dial().request("POST", here, chunked).say(chunk("hello"))
	running := r.dial().get(here).head().Header.Get(reply.HeaderExchange)
	asking := r.dial().get("/exchanges/" + running)
	asking.unanswered()
	unlock()
	if a := asking.answer().is(200); !strings.Contains(a.body, `"outcome":"open","bytes":null,`) || !strings.Contains(a.body, `"ended_at":null}`) {
		t.Errorf("the receipt of one that runs is %q", a.body)
	}
	if rows, _ := r.page("/audit/exchanges?outcome=open"); len(rows) != 1 || rows[0]["id"] != running {
		t.Errorf("what is open: %v", rows)
	}
	p.hangUp()
	r.ended(pipe.Delivered)
	r.ended(pipe.ProducerLeft)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.deliver("/channels/n/a", "hello")
	r.deliver("/channels/m/b", "you")
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
	a := r.dial().get("/audit/summary", withKey).answer().is(200)
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Complete || s.Since != s.From || s.Step != 900 || s.Total.Exchanges != 2 || s.Total.Bytes != 8 || s.Total.Outcomes["delivered"] != 2 || len(s.Buckets) == 0 {
		t.Errorf("the summary is %s", a.body)
	}
	a = r.dial().get("/audit/summary?namespace=n&from=1h&within=5s", withKey).answer().is(200)
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || s.Total.Exchanges != 1 || s.Step != 60 {
		t.Errorf("of a namespace: %s, %v", a.body, err)
	}
	a = r.dial().get("/audit/summary", "Accept: text/csv", withKey).answer().is(200)
	if !strings.HasPrefix(a.body, "from,exchanges,bytes,open,delivered,") {
		t.Errorf("as CSV: %s", a.body)
	}
	a = r.dial().get("/audit/summary?outcome=stalled", "Accept: application/x-ndjson", withKey).answer().is(200)
	if a.body != "" {
		t.Errorf("of what there is nothing of: %s", a.body)
	}
}

var auditPaths = []string{"/audit/exchanges", "/audit/requests", "/audit/channels", "/audit/summary",
	"/audit/exchanges/019f0a3c-7d2e-7c41-9d55-0242ac120002", "/exchanges/019f0a3c-7d2e-7c41-9d55-0242ac120002"}

func TestNoLogNoHistory(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, path := range auditPaths {
		if a := r.dial().get(path).answer().failed(404, "not_found"); !strings.Contains(a.body, "no audit log") {
			t.Errorf("%s: %q", path, a.body)
		}
	}
}

// A log that is away cannot be read, and the server says so once it is asked.
func TestHistoryOfAFailingLog(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.fail()
	for _, path := range auditPaths {
		r.dial().get(path, withKey).answer().failed(503, "audit_unavailable")
	}
	r.dial().get("/audit/exchanges", "Accept: text/csv", withKey).answer().failed(503, "audit_unavailable")
	r.recover()
	r.dial().get("/audit/exchanges", withKey).answer().is(200)
	r.journal.mu.Lock()
	r.journal.complaints = slices.DeleteFunc(r.journal.complaints, func(c string) bool { return c == "the audit log cannot be read" })
	r.journal.mu.Unlock()
}

// Who may read the history of what. A receipt is for whoever knows its id.
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
		if a := r.dial().get(test.path, headers...).answer(); a.StatusCode != test.status {
			t.Errorf("%q, %s: %d, want %d", test.grants, test.path, a.StatusCode, test.status)
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
		'', '', '', '', 'delivered', 5, 0, '', '', '', '' FROM n`, many)
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial().get("/audit/exchanges", "Accept: application/x-ndjson", withKey)
	response := c.head()
	r.fail()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%d lines look whole", strings.Count(string(body), "\n"))
	}
	r.recover()
}
