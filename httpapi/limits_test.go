package httpapi

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/relay"
	"httpipe/relay/http1"
)

func TestWaitingLimits(t *testing.T) {
	for _, test := range []struct {
		limits pipe.Limits
		status int
		flag   string
	}{
		{pipe.Limits{Waiting: 1}, http.StatusServiceUnavailable, "--max-waiting)"},
		{pipe.Limits{PerChannel: 1}, http.StatusServiceUnavailable, "--max-waiting-per-channel)"},
		{pipe.Limits{PerClient: 1}, http.StatusTooManyRequests, "--max-waiting-per-client)"},
	} {
		t.Run(test.flag, func(t *testing.T) {
			t.Parallel()
			r := startAudited(t, func(c *Config) { c.Limits = test.limits })
			p := r.dial().Post(here, "first")
			r.Waiting(1, 0)
			refused := r.dial().Post(here, "second").Answer().Failed(test.status, "refused").RetryAfter(5, 5)
			if !strings.Contains(refused.Text, test.flag) {
				t.Errorf("the text is %q, want %s in it", refused.Text, test.flag)
			}
			c := r.dial()
			c.Get(here).Answer().Got("first") // a client whose partner waits is admitted
			p.Answer().Is(200)
			c.Get(here)
			r.Waiting(0, 1)
			if got := r.dial().Get(here).Answer().Failed(test.status, "refused").Text; got != "" {
				t.Errorf("a refused consumer prints %q", got)
			}
			rows := r.rows(2, "SELECT role, outcome, count, '(--' || reason || ')' FROM requests")
			if rows[0] != "producer refused 1 (--"+test.flag[2:] || rows[1] != "consumer refused 1 (--"+test.flag[2:] {
				t.Errorf("on record: %q", rows)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	r := startAudited(t, func(c *Config) { c.RatePerClient, c.ClientIPHeader = 3, "X-Real-IP" })
	for range 3 {
		r.dial().Get(here+"?wait=0", "X-Real-IP: 192.0.2.1").Answer().Failed(408, "timed_out")
	}
	r.dial().Get(here+"?wait=0", "X-Real-IP: 192.0.2.1").Answer().Failed(429, "refused").RetryAfter(1, 20)
	r.dial().Request("DELETE", here, "X-Real-IP: 192.0.2.1").Answer().Failed(429, "refused")
	r.dial().Post(here+"?wait=0", "x", "X-Real-IP: 192.0.2.1").Answer().Failed(429, "refused")
	r.dial().Get("/healthz", "X-Real-IP: 192.0.2.1").Answer().Is(200)
	r.dial().Get(here+"?wait=0", "X-Real-IP: 192.0.2.2").Answer().Failed(408, "timed_out")
	got := r.rows(2, "SELECT role, addr, reason FROM requests WHERE outcome = 'refused' ORDER BY id")
	if got[0] != "consumer 192.0.2.1 rate-per-client" || got[1] != "producer 192.0.2.1 rate-per-client" {
		t.Errorf("on record: %q", got)
	}
}

// TestRatesRecover: a minute's rate is had again in a minute, evenly.
func TestRatesRecover(t *testing.T) {
	r := newRates(60)
	now := time.Now()
	for range 60 {
		if wait := r.count("a", now); wait != 0 {
			t.Fatalf("%v too early", wait)
		}
	}
	if wait := r.count("a", now); wait <= 0 || wait > time.Second {
		t.Errorf("the 61st has to wait %v", wait)
	}
	if wait := r.count("a", now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later it has to wait %v", wait)
	}
	for i := range clientsKnown + 1 {
		r.count(strconv.Itoa(i), now)
	}
	if n := r.clients.Len(); n != clientsKnown {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestClientAddr(t *testing.T) {
	for _, test := range []struct {
		header string // that is trusted
		values []string
		want   string
	}{
		{"", []string{"192.0.2.1"}, "198.51.100.7"},
		{"X-Real-IP", nil, "198.51.100.7"},
		{"X-Real-IP", []string{"192.0.2.1"}, "192.0.2.1"},
		{"X-Real-IP", []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		{"X-Real-IP", []string{"203.0.113.9", " 192.0.2.1 "}, "192.0.2.1"},
		{"X-Real-IP", []string{"2001:db8::1"}, "2001:db8::1"},
		{"X-Real-IP", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"X-Real-IP", []string{"203.0.113.7:51234"}, "203.0.113.7"},
		{"X-Real-IP", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"X-Real-IP", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"X-Real-IP", []string{"[2001:db8::9]:443, [2001:db8::1]:443"}, "2001:db8::1"},
		{"X-Real-IP", []string{"[::ffff:192.0.2.1]:443"}, "192.0.2.1"},
		{"X-Real-IP", []string{"fe80::1%eth0"}, "fe80::1"},
		{"X-Real-IP", []string{"[fe80::1%25eth0]:443"}, "fe80::1"},
		{"X-Real-IP", []string{"[fe80::1%eth0]"}, "fe80::1"},
	} {
		c := &clients{header: test.header} // without a logger: none of these is logged
		r := &relay.Request{RemoteAddr: "198.51.100.7:4321", Header: http1.HeaderOf(http.Header{"X-Real-Ip": test.values})}
		if got := c.addr(&request{Request: r}); got != test.want {
			t.Errorf("trusting %q, given %q: %s, want %s", test.header, test.values, got, test.want)
		}
	}
}

// TestNoClientAddr: a header that holds no address is logged, once however many requests bring it, and in bounds;
// the address of the connection counts.
func TestNoClientAddr(t *testing.T) {
	for _, value := range []string{"nonsense", "", "unknown", "203.0.113.7:", "203.0.113.7:65536", "203.0.113.7:http", "[2001:db8::1", "[203.0.113.7]:80",
		"[203.0.113.7]", "[]", "[]:80", "]", "for=203.0.113.7", "relay.example.com", "192.0.2.1,", "x\xff\" level=ERROR " + strings.Repeat("x", 8<<10)} {
		var log strings.Builder
		c := &clients{header: "X-Real-IP", logger: slog.New(slog.NewTextHandler(&log, nil))}
		for range 2 {
			r := &relay.Request{RemoteAddr: "198.51.100.7:4321", Header: http1.HeaderOf(http.Header{"X-Real-Ip": {value}})}
			if got := c.addr(&request{Request: r}); got != "198.51.100.7" {
				t.Errorf("given %.20q: %s", value, got)
			}
		}
		shown := lastOf(value)
		shown = strconv.Quote(shown[:min(len(shown), 20)])
		logged := log.String()
		if strings.Count(logged, "\n") != 1 || len(logged) > 500 || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, " header=X-Real-IP value=") ||
			!strings.Contains(logged, " value="+shown[:len(shown)-1]) && !strings.Contains(logged, " value="+strings.Trim(shown, `"`)) {
			t.Errorf("given %.20q, it logs %q", value, logged)
		}
	}
}

func TestGroup(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1":      "2001:db8:1:2::/64",
		"2001:db8:1:3::1":      "2001:db8:1:3::/64",
		"@":                    "@",
	} {
		if got := group(addr); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
}

func TestRequestIDsAreKept(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	p := r.dial().Post(here, "x", "X-Request-Id: theirs", "Fly-Request-Id: 01J-fra")
	r.dial().Get(here, "X-Request-Id: abc").Answer().Got("x")
	p.Answer().Is(200)
	if got := r.rows(1, "SELECT producer_request_id, consumer_request_id FROM exchanges"); got[0] != "01J-fra abc" {
		t.Errorf("on record: %q", got)
	}
}
