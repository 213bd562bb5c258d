package cli

import (
	"strings"
	"testing"
)

// TestTogether: values that can have no effect beside others are refused, and a default never is.
func TestTogether(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--audit off --audit-retention 90d", `invalid value "90d" for --audit-retention (command line): no rows are removed while --audit is off`},
		{"--audit read-only --audit-retention 90d", "no rows are removed while --audit is read-only"},
		{"--audit off --audit-retention off", ""},
		{"--audit off --audit-db a.db", ""},
		{"--max-waiting 50", ""},
		{"--max-waiting 50 --max-waiting-per-channel 51", `"51" for --max-waiting-per-channel (command line): it is never reached`},
		{"--max-waiting 50 --max-waiting-per-client 51", `"51" for --max-waiting-per-client (command line): it is never reached`},
		{"--max-waiting 50 --max-waiting-per-client 50 --max-waiting-per-channel 50", ""},
		{"--max-waiting-per-client 10001", `(auto: up to 10000)`},
		{"--max-waiting 20000 --max-waiting-per-client 10001", ""},
		{"--metrics-addr 127.0.0.1:3000", `"127.0.0.1:3000" for --metrics-addr (command line): the relay itself listens there`},
		{"--metrics-addr :3000 --host 127.0.0.1", "the relay itself listens there"},
		{"--metrics-addr 0.0.0.0:3000 --host 127.0.0.1", "the relay itself listens there"},
		{"--metrics-addr [::1]:80 --port 80 --host ::1", "the relay itself listens there"},
		{"--metrics-addr 127.0.0.2:3000 --host 127.0.0.1", ""},
		{"--metrics-addr 127.0.0.1:0 --port 0", ""},
		{"--anonymous produce:a/*", `"produce:a/*" for --anonymous (command line): it has no effect without --auth-secret`},
		{"--tls-cert a.pem", `"a.pem" for --tls-cert (command line): it needs --tls-key`},
		{"--tls-key a.key", "it needs --tls-cert"},
		{"--tls-cert a.pem --tls-key a.key", ""},
		{"--tls-cert a.pem --tls-domain relay.example", `"relay.example" for --tls-domain (command line): it gets a certificate by itself`},
		{"--nodes nodes.txt", `"nodes.txt" for --nodes (command line): it needs --node`},
		{"--node n1", "it needs --nodes"},
		{"--nodes nodes.txt --node n1", ""},
	} {
		_, err := parseWith(t, nil, "", strings.Fields(test.args))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %q", test.args, err, test.want)
		}
	}
}
