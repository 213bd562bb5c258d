package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

// parsing is a text for an option. got points to the option's field of the config;
// want is nil if the text is to be refused.
type parsing struct {
	option    string
	text      string
	got, want any
}

func TestParseWords(t *testing.T) {
	t.Parallel()
	var c config
	checkParsing(t, options(&c), []parsing{
		{"port", "0", &c.port, 0},
		{"port", "65535", &c.port, 65535},
		{"port", "65536", &c.port, nil},
		{"port", "-1", &c.port, nil},
		{"port", " 80", &c.port, nil},
		{"port", "http", &c.port, nil},

		{"host", "localhost", &c.host, "localhost"},
		{"host", "fe80::1%eth0", &c.host, "fe80::1%eth0"},
		{"host", "localhost:80", &c.host, nil},
		{"host", "[::1]", &c.host, nil},
		{"host", "http://localhost", &c.host, nil},

		{"metrics-addr", "127.0.0.1:9091", &c.metricsAddr, "127.0.0.1:9091"},
		{"metrics-addr", "[::1]:0", &c.metricsAddr, "[::1]:0"},
		{"metrics-addr", ":9091", &c.metricsAddr, ":9091"},
		{"metrics-addr", "off", &c.metricsAddr, ""},
		{"metrics-addr", "0", &c.metricsAddr, ""},
		{"metrics-addr", "9091", &c.metricsAddr, nil},
		{"metrics-addr", "127.0.0.1", &c.metricsAddr, nil},
		{"metrics-addr", "127.0.0.1:http", &c.metricsAddr, nil},
		{"metrics-addr", "http://127.0.0.1:9091", &c.metricsAddr, nil},
		{"metrics-addr", "127.0.0.1:9091/metrics", &c.metricsAddr, nil},
		{"audit", "strict", &c.audit, auditStrict},
		{"audit", "off", &c.audit, auditOff},
		{"audit", "none", &c.audit, nil},
		{"audit", "Strict", &c.audit, nil},
		{"log-format", "xml", &c.logFormat, nil},
		{"log-level", "INFO+2", &c.logLevel, nil},
		{"config", "", &c.configFile, nil},
	})
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	var c config
	checkParsing(t, options(&c), []parsing{
		{"max-waiting", "auto", &c.maxWaiting, 0},
		{"max-waiting", "1", &c.maxWaiting, 1},
		{"max-waiting", "0", &c.maxWaiting, nil},
		{"max-waiting", "none", &c.maxWaiting, nil},
		{"max-waiting", "1e3", &c.maxWaiting, nil},
		{"max-waiting-per-channel", "none", &c.maxWaitingPerChannel, 0},
		{"max-waiting-per-client", "-1", &c.maxWaitingPerClient, nil},
		{"rate-per-client", "4294967296", &c.ratePerClient, nil},
		{"client-ip-header", "X-Real-IP", &c.clientIPHeader, "X-Real-IP"},
		{"client-ip-header", "X Real IP", &c.clientIPHeader, nil},
		{"client-ip-header", "", &c.clientIPHeader, nil},
		{"client-ip-header", "forwarded", &c.clientIPHeader, nil},
		{"client-ip-header", "Host", &c.clientIPHeader, nil},
		{"client-ip-header", "x-forwarded-for", &c.clientIPHeader, "x-forwarded-for"},
		{"max-header", "2KiB", &c.maxHeader, nil},
		{"header-timeout", "0", &c.headerTimeout, nil},
		{"audit-retention", "90", &c.auditRetention, nil},
	})
}

func TestParseAccess(t *testing.T) {
	t.Parallel()
	var c config
	checkParsing(t, options(&c), []parsing{
		{"auth-secret", aSecret, &c.authSecret, aSecret},
		{"auth-secret", aSecret + "," + aSecret + "2", &c.authSecret, aSecret + "," + aSecret + "2"},
		{"auth-secret", aSecret + ", " + aSecret, &c.authSecret, nil},
		{"auth-secret", aSecret[:31], &c.authSecret, nil},
		{"auth-secret", "", &c.authSecret, nil},
		{"auth-secret", aSecret + ",short", &c.authSecret, nil},
		{"anonymous", "produce:hooks/*", &c.anonymous, "produce:hooks/*"},
		{"anonymous", "audit:a/b consume:*/*", &c.anonymous, "audit:a/b consume:*/*"},
		{"anonymous", "", &c.anonymous, nil},
		{"anonymous", "hooks/*", &c.anonymous, nil},
		{"anonymous", "write:hooks/*", &c.anonymous, nil},
		{"anonymous", "produce:hooks", &c.anonymous, nil},
		{"anonymous", "produce:a/*,look:b/*", &c.anonymous, nil},
	})
}

func TestParseTimes(t *testing.T) {
	t.Parallel()
	var c config
	checkParsing(t, options(&c), []parsing{
		{"request-timeout", "30", &c.requestTimeout, 30 * time.Second},
		{"request-timeout", ".25", &c.requestTimeout, 250 * time.Millisecond},
		{"request-timeout", "1h30m", &c.requestTimeout, 90 * time.Minute},
		{"request-timeout", "0s", &c.requestTimeout, time.Duration(0)},
		{"request-timeout", "none", &c.requestTimeout, time.Duration(0)},
		{"request-timeout", "36500d", &c.requestTimeout, maxDuration},
		{"request-timeout", "36501d", &c.requestTimeout, nil},
		{"request-timeout", "-1", &c.requestTimeout, nil},
		{"request-timeout", "-1s", &c.requestTimeout, nil},
		{"request-timeout", "NaN", &c.requestTimeout, nil},
		{"request-timeout", "NaNd", &c.requestTimeout, nil},
		{"request-timeout", "Inf", &c.requestTimeout, nil},
		{"request-timeout", "1e300", &c.requestTimeout, nil},
		{"request-timeout", "1e-12", &c.requestTimeout, nil},
		{"request-timeout", "1ns", &c.requestTimeout, nil},
		{"request-timeout", "1h30", &c.requestTimeout, nil},
		{"request-timeout", "abc", &c.requestTimeout, nil},

		{"drain-timeout", "0", &c.drainTimeout, time.Duration(0)},
		{"drain-timeout", "off", &c.drainTimeout, nil},

		{"audit-retention", "12h", &c.auditRetention, 12 * time.Hour},
		{"audit-retention", "0.5d", &c.auditRetention, 12 * time.Hour},
		{"audit-retention", "off", &c.auditRetention, time.Duration(0)},
		{"audit-retention", "-1d", &c.auditRetention, nil},
	})
}

func TestParseSizes(t *testing.T) {
	t.Parallel()
	var c config
	checkParsing(t, options(&c), []parsing{
		{"read-ahead", "1024", &c.readAhead, int64(1024)},
		{"read-ahead", "16 MiB", &c.readAhead, int64(16 << 20)},
		{"read-ahead", "1023", &c.readAhead, nil},
		{"read-ahead", "16777217", &c.readAhead, nil},
		{"read-ahead", "0", &c.readAhead, nil},

		{"max-body", "1", &c.maxBody, int64(1)},
		{"max-body", "1.5kb", &c.maxBody, int64(1500)},
		{"max-body", "2GiB", &c.maxBody, int64(2 << 30)},
		{"max-body", "9223372036854775807", &c.maxBody, int64(math.MaxInt64)},
		{"max-body", "9223372036854775808", &c.maxBody, nil},
		{"max-body", "0", &c.maxBody, int64(0)},
		{"max-body", "none", &c.maxBody, int64(0)},
		{"max-body", "0.5", &c.maxBody, nil},
		{"max-body", "1,5MB", &c.maxBody, nil},
		{"max-body", "-1", &c.maxBody, nil},
		{"max-body", "10 apples", &c.maxBody, nil},
	})
}

// checkParsing sets each option to its text and looks at the field.
func checkParsing(t *testing.T, opts []option, tests []parsing) {
	t.Helper()
	for _, tt := range tests {
		i := slices.IndexFunc(opts, func(o option) bool { return o.name == tt.option })
		before := field(tt.got)
		err := opts[i].set(tt.text)
		after := field(tt.got)
		switch {
		case tt.want == nil && err == nil:
			t.Errorf("--%s %q: no error, got %v", tt.option, tt.text, after)
		case tt.want == nil && after != before:
			t.Errorf("--%s %q: failed, but changed %v to %v", tt.option, tt.text, before, after)
		case tt.want != nil && (err != nil || after != tt.want):
			t.Errorf("--%s %q: got %v, %v, want %v", tt.option, tt.text, after, err, tt.want)
		}
	}
}

// field returns what a pointer to a field of config points to.
func field(p any) any {
	switch p := p.(type) {
	case *int:
		return *p
	case *int64:
		return *p
	case *string:
		return *p
	case *time.Duration:
		return *p
	case *auditMode:
		return *p
	}
	return nil
}
