package proxies

import (
	"fmt"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// testAccess checks that tokens get through in each of their places, and so do the answers to requests without one.
func (r route) testAccess(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--auth-secret", kit.Secret, "--client-ip-header", "X-Real-IP")
	via := r.proxy.start(t, p.URL)
	url := via + "/channels/v1/guarded"
	producer := kit.Token(t, kit.Secret, "--name", "producer", "--allow", "produce", "--channels", "v1/*")
	consumer := kit.Token(t, kit.Secret, "--name", "consumer", "--allow", "consume", "--channels", "v1/guarded")
	large := largeFile(t)
	for _, with := range []func(url, token string) []string{
		func(url, token string) []string { return []string{"-H", "Authorization: Bearer " + token, url} },
		func(url, token string) []string { return []string{"-u", ":" + token, url} },
		func(url, token string) []string { return []string{url + "?token=" + token} },
	} {
		produced := kit.Patient(append([]string{"-d", "hello"}, with(url, producer)...)...)
		if got := <-kit.Patient(with(url, consumer)...); got != "hello" {
			t.Errorf("the consumer got %q", got)
		}
		if got := <-produced; got != "" {
			t.Errorf("the producer was told %q", got)
		}
		h := header(<-kit.Patient(append([]string{"-i", "-d", "hello"}, with(url, consumer)...)...))
		if got := h.Get("Status") + " " + h.Get("Httpipe-Error"); got != "403 Forbidden forbidden" {
			t.Errorf("a consumer that produces gets %s", got)
		}
	}
	for _, args := range [][]string{{url}, {"-d", "hello", url}, {"-T", large, url}, {"-H", "Expect:", "-T", large, url}} {
		printed := strings.TrimPrefix(<-kit.Patient(append([]string{"-i"}, args...)...), "HTTP/1.1 100 Continue\r\n\r\n")
		if r.lost(args, printed) {
			continue
		}
		h := header(printed)
		got := fmt.Sprintf("%s %s %s", h.Get("Status"), h.Get("Httpipe-Error"), h.Get("Www-Authenticate"))
		if got != `401 Unauthorized unauthorized Bearer realm="httpipe"` || !strings.Contains(printed, "on v1/guarded needs a token") {
			t.Errorf("curl %v without a token gets %s\n%s", args, got, printed)
		}
	}
	if got := p.SQLite(t, "select distinct producer_subject, consumer_subject, producer_addr from exchanges"); got != "producer|consumer|127.0.0.1" {
		t.Errorf("on record: %s", got)
	}
}

// testOrigins: with --cors-origin, pages of the proxy's public name are let in, although the relay's own address differs, and
// other pages are not.
func (r route) testOrigins(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--cors-origin", "https://app.example")
	channel := r.proxy.start(t, p.URL) + "/channels/v1/origins?wait=0"
	for _, test := range []struct {
		origin, site string
		status       string
	}{
		{"https://relay.example.com", "", "408"},
		{"https://relay.example.com", "same-origin", "408"},
		{"https://app.example", "cross-site", "408"},
		{"https://evil.example", "", "403"},
		{"https://evil.example", "cross-site", "403"},
		{"", "cross-site", "403"},
	} {
		// curl leaves out a header without a value.
		got := <-kit.Patient("-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: relay.example.com",
			"-H", "Origin: "+test.origin, "-H", "Sec-Fetch-Site: "+test.site, "-d", "a", channel)
		if got != test.status {
			t.Errorf("a page of %q, %q, gets %s, want %s", test.origin, test.site, got, test.status)
		}
	}
}
