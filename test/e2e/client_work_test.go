package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// TestWorkWithCommand: the command answers, its exit status decides between 200 and 500, and a signal lets it end.
func TestWorkWithCommand(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	url := p.URL + "/services/demo/upper"
	worker := startClient(t, t.TempDir(), "work", "--type", "text/x-upper", url, "--", "sh", "-c",
		`tr a-z A-Z; echo " $HTTPIPE_METHOD $HTTPIPE_TARGET $HTTPIPE_HEADER_X_A"; [ "$HTTPIPE_TARGET" != /fail ]`)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-X", "PATCH", "-H", "X-A: b", "-d", "hello", url + "/some/path?q=1"}, "HELLO PATCH /some/path?q=1 b\n 200 text/x-upper"},
		{[]string{url}, " GET / \n 200 text/x-upper"},
		{[]string{url + "/fail"}, " GET /fail \n 500 text/x-upper"},
	} {
		if got := <-kit.Patient(append(test.args, "-w", " %{http_code} %{content_type}")...); got != test.want {
			t.Errorf("curl %s: %q, want %q", test.args, got, test.want)
		}
	}
	worker.Process.Signal(syscall.SIGTERM)
	if _, stderr := worker.end(t, 0); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "httpipe: GET /fail: exit status 1 (exchange ") {
		t.Errorf("it said %q", stderr)
	}
}

// TestWorkerHasALimit: a command, or a web server, that does not answer costs its caller a 504, and the next caller nothing.
func TestWorkerHasALimit(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	hang := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-hang
		}
		io.WriteString(w, "answer")
	}))
	defer web.Close()
	defer close(hang)
	for name, end := range map[string][]string{
		"command": {"--", "sh", "-c", `[ "$HTTPIPE_TARGET" = /hang ] && exec sleep 600; printf answer`},
		"web":     {"--jobs", "1", "--to", web.URL},
	} {
		url := p.URL + "/services/demo/" + name
		worker := startClient(t, t.TempDir(), append([]string{"work", "--timeout", "200ms", url}, end...)...)
		if got := <-kit.Patient("-o", "/dev/null", "-w", "%{http_code}", url+"/hang"); got != "504" {
			t.Errorf("%s: the caller of what hangs got %s", name, got)
		}
		if got := <-kit.Patient(url + "/next"); got != "answer" {
			t.Errorf("%s: the next caller got %q", name, got)
		}
		worker.Process.Signal(syscall.SIGTERM)
		worker.end(t, 0)
	}
}

const noWebServer = "Bad Gateway: the worker's web server does not answer\n"

// TestWorkForWebServer: what callers send reaches a web server behind the worker, and its responses reach them.
func TestWorkForWebServer(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	url := p.URL + "/services/demo/web"
	breakOff := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/under/half":
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			<-breakOff
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/under/gone":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/under/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case r.URL.Path == "/under/nothing":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("X-Own", "own")
			fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.RequestURI, r.Header.Get("X-A"), r.Header.Get("Content-Type"), body)
		}
	}))
	defer web.Close()
	worker := startClient(t, t.TempDir(), "work", "--to", web.URL+"/under/", p.URL+"/work/demo/web")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-X", "PUT", "-H", "X-A: b", "-H", "Content-Type: a/b", "-d", "hello", url + "/a%2fb//c?q=%20"}, "PUT /under/a%2fb//c?q=%20 b a/b hello 200 own"},
		{[]string{"-H", "Transfer-Encoding: chunked", "-d", "hello", url + "/x"}, "POST /under/x  application/x-www-form-urlencoded hello 200 own"},
		{[]string{url + "/moved"}, "<a href=\"/elsewhere\">Found</a>.\n\n 302 "},
		{[]string{"--head", "-o", "/dev/null", url + "/x"}, " 200 own"},
		{[]string{url + "/nothing"}, " 204 "},
		{[]string{url + "/gone"}, noWebServer + " 502 "},
	} {
		if got := <-kit.Patient(append(test.args, "-w", " %{http_code} %header{x-own}")...); got != test.want {
			t.Errorf("curl %s: %q, want %q", test.args, got, test.want)
		}
	}
	half := kit.Get(t, url+"/half").Body
	if got, err := io.ReadAll(io.LimitReader(half, 4)); string(got) != "half" || err != nil {
		t.Errorf("of half a response: %q, %v", got, err)
	}
	close(breakOff)
	if got, err := io.ReadAll(half); err == nil {
		t.Errorf("half a response ends well, after %q", got)
	}
	web.Close()
	if got := <-kit.Patient("-w", " %{http_code}", url); got != noWebServer+" 502" {
		t.Errorf("without the web server: %q", got)
	}
	worker.Process.Signal(syscall.SIGTERM)
	worker.end(t, 0)
}

// TestWorkerSurvivesTheRelay: a worker comes back after the relay has been killed.
func TestWorkerSurvivesTheRelay(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"), ":")
	url := p.URL + "/services/demo/echo"
	worker := startClient(t, t.TempDir(), "work", url, "--", "cat")
	for range 2 {
		if got := <-kit.Patient("-d", "hello", url); got != "hello" {
			t.Fatalf("the caller got %q", got)
		}
		p.Process.Kill()
		<-p.Exited
		p = kit.Start(t, p.Dir, "--port", port)
	}
	worker.Process.Signal(syscall.SIGTERM)
	worker.end(t, 0)
}
