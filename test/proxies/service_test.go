package proxies

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// testServices: a call through the proxy reaches its worker as it was sent, and its answer comes back through the proxy, with
// as many headers as the relay takes.
func (r route) testServices(t *testing.T) {
	for _, test := range []struct{ method, target string }{
		{"GET", "/"}, {"PATCH", "/a/b?x=1&x=%2F"}, {"DELETE", "/a//b/"}, {"PROPFIND", "/%2e%2E/%2f%20%c3%a9"}, {"OPTIONS", "/x/../y?"}, {"PUT", "/~!$&'()*+,;=:@"},
	} {
		t.Run(test.method+test.target, func(t *testing.T) {
			addr := strings.TrimPrefix(r.via, "http://")
			caller, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { caller.Close() })
			fmt.Fprintf(caller, "%s /services/v1/s%s HTTP/1.1\r\nHost: %s\r\nX-Mine: 1\r\nContent-Length: 8\r\n\r\nquestion", test.method, test.target, addr)
			request := kit.Get(t, r.via+"/work/v1/s?wait=10s")
			body, err := io.ReadAll(request.Body)
			h := request.Header
			if string(body) != "question" || err != nil || h.Get("Httpipe-Target") != test.target || h.Get("Httpipe-Method") != test.method || h.Get("Httpipe-Header-X-Mine") != "1" {
				t.Fatalf("the worker got %q, %v, %s %v", body, err, request.Status, h)
			}
			headers := []string{"Httpipe-Status", "418"}
			for i := range 50 {
				headers = append(headers, fmt.Sprintf("Httpipe-Header-X-%d", i), "theirs")
			}
			if got := <-kit.Post(t, r.via+h.Get("Httpipe-Reply"), strings.NewReader("answer"), 6, headers...); got != "200" {
				t.Errorf("the worker got %s", got)
			}
			answer, err := http.ReadResponse(bufio.NewReader(caller), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); string(body) != "answer" || err != nil || answer.StatusCode != 418 || answer.Header.Get("X-49") != "theirs" {
				t.Errorf("the caller got %s %q, %v, %v", answer.Status, body, err, answer.Header)
			}
		})
	}
}
