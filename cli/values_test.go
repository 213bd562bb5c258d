package cli

import (
	"math"
	"reflect"
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
	var c Config
	checkParsing(t, options(&c), []parsing{
		{"port", "0", &c.Port, 0},
		{"port", "65535", &c.Port, 65535},
		{"port", "65536", &c.Port, nil},
		{"port", "-1", &c.Port, nil},
		{"port", " 80", &c.Port, nil},
		{"port", "http", &c.Port, nil},

		{"host", "localhost", &c.Host, "localhost"},
		{"host", "fe80::1%eth0", &c.Host, "fe80::1%eth0"},
		{"host", "localhost:80", &c.Host, nil},
		{"host", "[::1]", &c.Host, nil},
		{"host", "http://localhost", &c.Host, nil},

		{"metrics-addr", "127.0.0.1:9091", &c.MetricsAddr, "127.0.0.1:9091"},
		{"metrics-addr", "[::1]:0", &c.MetricsAddr, "[::1]:0"},
		{"metrics-addr", ":9091", &c.MetricsAddr, ":9091"},
		{"metrics-addr", "off", &c.MetricsAddr, ""},
		{"metrics-addr", "0", &c.MetricsAddr, ""},
		{"metrics-addr", "9091", &c.MetricsAddr, nil},
		{"metrics-addr", "127.0.0.1", &c.MetricsAddr, nil},
		{"metrics-addr", "127.0.0.1:http", &c.MetricsAddr, nil},
		{"metrics-addr", "http://127.0.0.1:9091", &c.MetricsAddr, nil},
		{"metrics-addr", "127.0.0.1:9091/metrics", &c.MetricsAddr, nil},
		{"audit", "strict", &c.Audit, AuditStrict},
		{"audit", "off", &c.Audit, AuditOff},
		{"audit", "none", &c.Audit, nil},
		{"audit", "Strict", &c.Audit, nil},
		{"log-format", "xml", &c.LogFormat, nil},
		{"log-level", "INFO+2", &c.LogLevel, nil},
		{"config", "", &c.ConfigFile, nil},
	})
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	var c Config
	checkParsing(t, options(&c), []parsing{
		{"max-waiting", "auto", &c.MaxWaiting, 0},
		{"max-waiting", "1", &c.MaxWaiting, 1},
		{"max-waiting", "0", &c.MaxWaiting, nil},
		{"max-waiting", "none", &c.MaxWaiting, nil},
		{"max-waiting", "1e3", &c.MaxWaiting, nil},
		{"max-waiting-per-channel", "none", &c.MaxWaitingPerChannel, 0},
		{"max-waiting-per-client", "-1", &c.MaxWaitingPerClient, nil},
		{"rate-per-client", "4294967296", &c.RatePerClient, nil},
		{"client-ip-header", "X-Real-IP", &c.ClientIPHeader, "X-Real-IP"},
		{"client-ip-header", "X Real IP", &c.ClientIPHeader, nil},
		{"client-ip-header", "", &c.ClientIPHeader, nil},
		{"client-ip-header", "forwarded", &c.ClientIPHeader, nil},
		{"client-ip-header", "Host", &c.ClientIPHeader, nil},
		{"client-ip-header", "User-Agent", &c.ClientIPHeader, nil},
		{"client-ip-header", "connection", &c.ClientIPHeader, nil},
		{"client-ip-header", "TE", &c.ClientIPHeader, nil},
		{"client-ip-header", "Accept-Language", &c.ClientIPHeader, nil},
		{"client-ip-header", "CF-Connecting-IP", &c.ClientIPHeader, "CF-Connecting-IP"},
		{"client-ip-header", "Via-IP", &c.ClientIPHeader, "Via-IP"},
		{"client-ip-header", "x-forwarded-for", &c.ClientIPHeader, "x-forwarded-for"},
		{"max-header", "2KiB", &c.MaxHeader, nil},
		{"header-timeout", "0", &c.HeaderTimeout, nil},
		{"audit-retention", "90", &c.AuditRetention, nil},
	})
}

func TestParseAccess(t *testing.T) {
	t.Parallel()
	var c Config
	checkParsing(t, options(&c), []parsing{
		{"auth-secret", aSecret, &c.AuthSecret, secretsOf(aSecret)},
		{"auth-secret", aSecret + "," + aSecret + "2", &c.AuthSecret, secretsOf(aSecret + "," + aSecret + "2")},
		{"auth-secret", aSecret + ", " + aSecret, &c.AuthSecret, nil},
		{"auth-secret", aSecret[:31], &c.AuthSecret, nil},
		{"auth-secret", "", &c.AuthSecret, nil},
		{"auth-secret", aSecret + ",short", &c.AuthSecret, nil},
		{"anonymous", "produce:hooks/*", &c.Anonymous, grantsOf("produce:hooks/*")},
		{"anonymous", "audit:a/b consume:*/*", &c.Anonymous, grantsOf("audit:a/b consume:*/*")},
		{"anonymous", "", &c.Anonymous, nil},
		{"anonymous", "hooks/*", &c.Anonymous, nil},
		{"anonymous", "write:hooks/*", &c.Anonymous, nil},
		{"anonymous", "produce:hooks", &c.Anonymous, nil},
		{"anonymous", "produce:a/*,look:b/*", &c.Anonymous, nil},
	})
}

func TestParseTimes(t *testing.T) {
	t.Parallel()
	var c Config
	checkParsing(t, options(&c), []parsing{
		{"request-timeout", "30", &c.RequestTimeout, 30 * time.Second},
		{"request-timeout", ".25", &c.RequestTimeout, 250 * time.Millisecond},
		{"request-timeout", "1h30m", &c.RequestTimeout, 90 * time.Minute},
		{"request-timeout", "0s", &c.RequestTimeout, time.Duration(0)},
		{"request-timeout", "none", &c.RequestTimeout, time.Duration(0)},
		{"request-timeout", "36500d", &c.RequestTimeout, maxDuration},
		{"request-timeout", "36501d", &c.RequestTimeout, nil},
		{"request-timeout", "-1", &c.RequestTimeout, nil},
		{"request-timeout", "-1s", &c.RequestTimeout, nil},
		{"request-timeout", "NaN", &c.RequestTimeout, nil},
		{"request-timeout", "NaNd", &c.RequestTimeout, nil},
		{"request-timeout", "Inf", &c.RequestTimeout, nil},
		{"request-timeout", "1e300", &c.RequestTimeout, nil},
		{"request-timeout", "1e-12", &c.RequestTimeout, nil},
		{"request-timeout", "1ns", &c.RequestTimeout, nil},
		{"request-timeout", "1h30", &c.RequestTimeout, nil},
		{"request-timeout", "abc", &c.RequestTimeout, nil},

		{"drain-timeout", "0", &c.DrainTimeout, time.Duration(0)},
		{"drain-timeout", "off", &c.DrainTimeout, nil},

		{"audit-retention", "12h", &c.AuditRetention, 12 * time.Hour},
		{"audit-retention", "0.5d", &c.AuditRetention, 12 * time.Hour},
		{"audit-retention", "off", &c.AuditRetention, time.Duration(0)},
		{"audit-retention", "-1d", &c.AuditRetention, nil},
	})
}

func TestParseSizes(t *testing.T) {
	t.Parallel()
	var c Config
	checkParsing(t, options(&c), []parsing{
		{"read-ahead", "1024", &c.ReadAhead, int64(1024)},
		{"read-ahead", "16 MiB", &c.ReadAhead, int64(16 << 20)},
		{"read-ahead", "1023", &c.ReadAhead, nil},
		{"read-ahead", "16777217", &c.ReadAhead, nil},
		{"read-ahead", "0", &c.ReadAhead, nil},

		{"max-body", "1", &c.MaxBody, int64(1)},
		{"max-body", "1.5kb", &c.MaxBody, int64(1500)},
		{"max-body", "2GiB", &c.MaxBody, int64(2 << 30)},
		{"max-body", "9223372036854775807", &c.MaxBody, int64(math.MaxInt64)},
		{"max-body", "9223372036854775808", &c.MaxBody, nil},
		{"max-body", "0", &c.MaxBody, int64(0)},
		{"max-body", "none", &c.MaxBody, int64(0)},
		{"max-body", "0.5", &c.MaxBody, nil},
		{"max-body", "1.5", &c.MaxBody, nil},
		{"max-body", "1000.", &c.MaxBody, nil},
		{"max-body", "1.5 B", &c.MaxBody, nil},
		{"max-body", "1.5k", &c.MaxBody, int64(1500)},
		{"max-body", "1,5MB", &c.MaxBody, nil},
		{"max-body", "-1", &c.MaxBody, nil},
		{"max-body", "10 apples", &c.MaxBody, nil},
	})
}

// checkParsing sets each option to its text and looks at the field.
func checkParsing(t *testing.T, opts []option, tests []parsing) {
	t.Helper()
	for _, tt := range tests {
		i := slices.IndexFunc(opts, func(o option) bool { return o.name == tt.option })
		before := reflect.ValueOf(tt.got).Elem().Interface()
		err := opts[i].set(tt.text)
		after := reflect.ValueOf(tt.got).Elem().Interface()
		switch {
		case tt.want == nil && err == nil:
			t.Errorf("--%s %q: no error, got %v", tt.option, tt.text, after)
		case tt.want == nil && !reflect.DeepEqual(after, before):
			t.Errorf("--%s %q: failed, but changed %v to %v", tt.option, tt.text, before, after)
		case tt.want != nil && (err != nil || !reflect.DeepEqual(after, tt.want)):
			t.Errorf("--%s %q: got %v, %v, want %v", tt.option, tt.text, after, err, tt.want)
		}
	}
}
