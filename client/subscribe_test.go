package client

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestReadEvent(t *testing.T) {
	for stream, want := range map[string]string{
		"id: 1\ndata: a\ndata:\ndata:  b\n\n":              `1 "a\n\n b" `,
		":\n\nretry: 5\n\nid: 2\r\ndata: \r\n\r\n":         `2 "" `,
		"id: 3\nevent: base64\ndata: /wANCg==\n\n":         `3 "\xff\x00\r\n" `,
		"event: missed\nid: 4\ndata: 12\n\n":               `4 "" 12`,
		"event: missed\ndata: unknown\n\n":                 ` "" unknown`,
		"id: 5\n: comment\ndata: x\n:\n\n":                 `5 "x" `,
		"id: 6\ndata: no end\n":                            "EOF",
		"id: 7\nevent: base64\ndata: not base64\n\n":       "illegal base64 data at input byte 3",
		"id: 8\nevent: base64\ndata: /wA\ndata: NCg==\n\n": `8 "\xff\x00\r\n" `,
	} {
		e, err := readEvent(bufio.NewReader(strings.NewReader(stream)), func() {})
		got := fmt.Sprintf("%s %q %s", e.ID, e.Body, e.Missed)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", stream, got, want)
		}
	}
}

// TestSubscribe: a subscription that breaks begins again after the last event, and half an event is none.
func TestSubscribe(t *testing.T) {
	stream := func(text string) answer {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "id: %s.\ndata: after %[1]q\n\n%s", r.Header.Get("Last-Event-ID"), text)
		}
	}
	_, topic := startScript(t, stream("id: 1\ndata: one\n\nid: 2\ndata: half"), says(503, "refused"), stream(""), stream("event: missed\nid: 9\ndata: 7\n\n"), stream(""))
	c, retried := fast()
	c.Retries = 2
	var got []string
	err := c.Subscribe(t.Context(), topic, "0", func(e Event) error {
		got = append(got, e.ID+"/"+string(e.Body)+e.Missed)
		if len(got) == 6 {
			return io.ErrShortWrite
		}
		return nil
	})
	want := `[0./after "0" 1/one 1./after "1" 1../after "1." 9/7 9./after "9"]`
	if fmt.Sprint(got) != want || err != io.ErrShortWrite || fmt.Sprint(*retried) != "[broken refused broken broken]" {
		t.Errorf("got %s, %v after %s", got, err, *retried)
	}
}
