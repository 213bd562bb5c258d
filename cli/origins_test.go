package cli

import (
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"*", "https://a.example", "http://localhost:8080", "https://app.example:80", "http://app.example:443", "https://127.0.0.1:8443",
		"https://[::1]:8443", "https://[2001:db8::1]", "https://xn--bcher-kva.example", "https://a_b.example", "https://example.com.",
		"chrome-extension://abcdefghijklmnop", "capacitor://localhost", "*,https://a.example",
	} {
		if got, err := parseOrigins(text); strings.Join(got, ",") != text || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, err := parseOrigins("HTTPS://A.example, http://b:8080,*"); strings.Join(got, ",") != "https://a.example,http://b:8080,*" || err != nil {
		t.Errorf("a list is %q, %v", got, err)
	}
	for _, test := range []struct{ text, want string }{
		{"https://*.example", "no wildcards"},
		{"*.example", "want * or origins"},
		{"https://app.example:*", "no wildcards"},
		{"https://app.example:443", "write https://app.example"},
		{"http://x:80", "write http://x"},
		{"https://[::1]:443", "write https://[::1]"},
		{"https://x:", "not a port"},
		{"https://x:08443", "not a port"},
		{"https://x:65536", "not a port"},
		{"https://x:0", "not a port"},
		{"https://a.example/", `leave out "/"`},
		{"https://a.example/app", `leave out "/app"`},
		{"https://a.example?x", `leave out "?x"`},
		{"https://a.example#x", `leave out "#x"`},
		{"https://me@a.example", "no user"},
		{"https://bücher.example", "xn--"},
		{"https://a;b", "not a host name"},
		{"https://%61.example", "not a host name"},
		{"https://a..example", "not a host name"},
		{"https://127.1", "four decimal numbers"},
		{"https://0x7f000001", "four decimal numbers"},
		{"https://2130706433", "four decimal numbers"},
		{"https://[2001:0db8::1]", "write this host as [2001:db8::1]"},
		{"https://[fe80::1%eth0]", "not an IPv6 address"},
		{"https://[127.0.0.1]", "not an IPv6 address"},
		{"https://[::1", "not an IPv6 address"},
		{"null", "sandboxed"},
		{"file://", "want * or origins"},
		{"file://host", "scheme file"},
		{"wss://a.example", "scheme wss"},
		{"a.example", "want * or origins"},
		{"https://", "want * or origins"},
		{"https://a.example,", "want * or origins"},
		{"https://a.example https://b.example", "separate origins with commas"},
		{"https://a.example;https://b.example", "separate origins with commas"},
		{"https://a.example/,https://b.example", `leave out "/"`},
		{"*,*", "* is given twice"},
		{"https://a.example,https://A.example", "https://a.example is given twice"},
	} {
		if got, err := parseOrigins(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q, %v; want an error with %q", test.text, got, err, test.want)
		}
	}
}
