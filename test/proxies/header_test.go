package proxies

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// mostHead is how long the head of a request may be at the default --max-header: net/http takes 4 KiB more.
const mostHead = 32<<10 + 4<<10

// testLargeHeaders: whatever the relay takes at the default --max-header, the proxy passes on, in both directions. If it
// did not, a consumer would get the proxy's 502, and its producer the relay's 200.
func (r route) testLargeHeaders(t *testing.T) {
	large := func(prefix string, length int) string { return prefix + strings.Repeat("x", length-len(prefix)) }
	for i, header := range []struct{ name, prefix string }{
		{"Content-Disposition", "attachment; filename="}, {"Content-Type", "text/plain; x="}, {"Content-Language", "en, "}, {"Content-Encoding", "x-"},
	} {
		for _, way := range []struct{ name, from, to string }{{"to a consumer", r.URL, r.via}, {"from a producer", r.via, r.URL}} {
			t.Run(header.name+" "+way.name, func(t *testing.T) {
				url := fmt.Sprintf("/channels/v1/large-headers%d", i)
				// What Go's client and the proxy add of their own is less than 700 bytes.
				for _, length := range []int{3 << 10, 16 << 10, 32 << 10, mostHead - 700} {
					value := large(header.prefix, length)
					producer := kit.Post(t, way.from+url, strings.NewReader("hello"), 5, header.name, value)
					resp := kit.Get(t, way.to+url+"?wait=5s")
					if got := resp.Header.Get(header.name); resp.StatusCode != http.StatusOK || got != value {
						t.Fatalf("of %d bytes behind %s: %s, with %d bytes", length, r.name, resp.Status, len(got))
					}
					if got := <-producer; got != "200" {
						t.Fatalf("%d bytes behind %s: the producer got %s", length, r.name, got)
					}
				}
			})
		}
	}
	// The header of a part may have --max-header.
	url := "/channels/v1/large-part"
	name := strings.Repeat("x", 32<<10-100)
	part := "--b\r\nContent-Disposition: form-data; name=f; filename=" + name + "\r\n\r\nhello\r\n--b--\r\n"
	producer := kit.Post(t, r.URL+url, strings.NewReader(part), int64(len(part)), "Content-Type", "multipart/form-data; boundary=b")
	resp := kit.Get(t, r.via+url+"?wait=10s")
	if got := resp.Header.Get("Content-Disposition"); resp.StatusCode != http.StatusOK || !strings.HasSuffix(got, name) || <-producer != "200" {
		t.Errorf("a part with a name of %d bytes behind %s: %s, with %d bytes", len(name), r.name, resp.Status, len(got))
	}
	// What is too large is refused by the relay, which says so itself.
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.via+url+"?wait=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", mostHead))
	refused, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Body.Close()
	if refused.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a head over the limit behind %s: %s", r.name, refused.Status)
	}
}
