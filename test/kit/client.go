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

// Curl runs curl in the background and returns what it will have printed, with its exit code.
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

// Patience is how long anything may take before it counts as hanging; a test of the proxies takes 63 s.
const Patience = 90 * time.Second

// MaxTime is that for curl.
var MaxTime = []string{"--max-time", fmt.Sprint(Patience.Seconds())}

// Patient is Curl within that.
func Patient(args ...string) <-chan string {
	return Curl(slices.Concat(MaxTime, args)...)
}

// Get consumes; its response is closed at the test's end.
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

// Post produces in the background; the answer is its status, or an error. A length of -1 is not announced.
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

// FreeAddress returns an address for a program that cannot take any free port by itself. It is below
// the ports that the system gives out, so that nobody else is given it meanwhile.
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

// Scrape returns what a server says of itself, after an exchange and an error, so that all there can be is there.
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
