package relay

import (
	"net/http"
	"strings"
	"testing"

	"httpipe/relay/http1"
)

// A producer that sent Expect is asked again and again with 100 Continue, but not so often that it gives up:
// Go before 1.24 takes five interim responses.
func TestContinueIsRepeated(t *testing.T) {
	t.Parallel()
	r := start(t)
	large := strings.Repeat("x", 200_000)
	upload := func(channel, agent, framing, body string) *client {
		return r.dial().Request("POST", channel, "Expect: 100-continue", "User-Agent: "+agent, framing).Upload(body)
	}
	old := upload("/channels/n/old", "Go-http-client/1.1", length(len(large)), large)
	chunks := upload("/channels/n/chunks", "Go-http-client/2.0", chunked, chunk(large)+"0\r\n\r\n")
	told := r.dial().Request("POST", "/channels/n/told", "Expect: 100-continue", "User-Agent: Go-http-client/1.1", length(len(large)), "Prefer: interim")
	reads(t, told.In, http1.Processing+http1.Continue)
	told.Upload(large)
	curl := upload("/channels/n/curl", "curl/8.14.1", length(len(large)), large)
	reads(t, curl.In, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 7)) // by now the others could have had as many
	for channel, c := range map[string]*client{"/channels/n/old": old, "/channels/n/chunks": chunks, "/channels/n/told": told} {
		r.dial().Get(channel).Answer().Got(large)
		n := 0
		if c == told {
			n = 2
		}
		for ; ; n++ {
			response, err := http.ReadResponse(c.In, &http.Request{Method: "POST"})
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode == http.StatusContinue {
				continue
			}
			// The first one is not sent if the body is there already.
			if n < 4 || n > 5 || response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s after %d interim responses, want 4 or 5", channel, response.Status, n)
			}
			break
		}
	}
	r.dial().Get("/channels/n/curl").Answer().Got(large)
	curl.Answer().Is(200)
}

// TestWaitingIsTold: a producer that asks for it is told that it waits for a consumer, before its answer. No other producer
// gets an interim response that it did not ask for.
func TestWaitingIsTold(t *testing.T) {
	t.Parallel()
	r := start(t)
	const told = "HTTP/1.1 102 Processing\r\nHttpipe-Waiting: for a consumer\r\n\r\n"
	for prefer, want := range map[string]string{"interim": told, "wait=20, Interim;x=y": told, "wait=20": "", "interim=no, x": "", "wait=0, interim": ""} {
		p := r.dial().Request("POST", here, length(5), "Prefer: "+prefer).Say("hello")
		switch {
		case want != "":
			reads(t, p.In, want)
			r.dial().Get(here).Answer().Got("hello")
			p.Answer().Is(200)
		case strings.HasPrefix(prefer, "wait=0"):
			p.Answer().Is(408)
		default:
			r.Waiting(1, 0)
			r.dial().Get(here).Answer().Got("hello")
			p.Answer().Is(200)
		}
	}
	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Request("POST", here, length(5), "Prefer: interim").Say("hello").Answer().Is(200) // it did not have to wait
	c.Answer().Got("hello")
	old := r.dial().Say("POST " + here + " HTTP/1.0\r\nPrefer: interim\r\nContent-Length: 5\r\n\r\nhello")
	r.Waiting(1, 0)
	r.dial().Get(here).Answer().Got("hello")
	old.Answer().Is(200)
}
