package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Curl runs curl in the background. The channel receives what it printed, followed by " [exit N]" if it failed.
func Curl(args ...string) <-chan string {
	done := make(chan string, 1)
	go func() {
		out, err := exec.Command("curl", append([]string{"-sS"}, args...)...).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit):
			out = fmt.Appendf(out, " [exit %d]", exit.ExitCode())
		default:
			out = fmt.Appendf(out, " [%v]", err)
		}
		done <- string(out)
	}()
	return done
}

// Patience is how long a request may take before it counts as hanging. The longest test takes 63 s.
const Patience = 90 * time.Second

// Pause is how long a test that polls leaves the processor to what it waits for.
const Pause = 5 * time.Millisecond

// MaxTime is Patience as options of curl.
var MaxTime = []string{"--max-time", fmt.Sprint(Patience.Seconds())}

// Patient is Curl with MaxTime.
func Patient(args ...string) <-chan string {
	return Curl(slices.Concat(MaxTime, args)...)
}

// Get makes a GET request. The end of the test closes the response.
func Get(t *testing.T, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// Post makes a POST request in the background, with headers as name, value, name, value. The channel receives the status code
// or an error. A length of -1 makes the body chunked.
func Post(t *testing.T, url string, body io.Reader, length int64, headers ...string) <-chan string {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	done := make(chan string, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "POST", url, body)
		if err != nil {
			done <- err.Error()
			return
		}
		req.ContentLength = length
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			done <- err.Error()
			return
		}
		resp.Body.Close()
		done <- fmt.Sprint(resp.StatusCode)
	}()
	return done
}

// FreeAddress returns an address for a program that cannot choose a free port by itself. Its port is below those that the
// kernel assigns, so no other program gets it in the meantime.
func FreeAddress(t *testing.T) string {
	t.Helper()
	var errs []error
	for range 20 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(20000)))
		if err == nil {
			ln.Close()
			return ln.Addr().String()
		}
		errs = append(errs, err)
	}
	t.Fatal(errors.Join(errs...))
	return ""
}

// Scrape returns the metrics of a server after an exchange and an error, which make all of them appear.
func Scrape(t *testing.T, p *Server) string {
	t.Helper()
	consumer := Curl(p.URL + "/channels/v1/do_work")
	if got := <-Curl("-d", "hello", p.URL+"/channels/v1/do_work"); got != "" {
		t.Fatalf("the producer was told %q", got)
	}
	<-consumer
	<-Curl(p.URL + "/nothing")
	code, text := Execute(t, p.Dir, "curl", "-sS", "-f", p.Metrics)
	if code != 0 {
		t.Fatalf("curl %s: %d\n%s", p.Metrics, code, text)
	}
	return text
}
