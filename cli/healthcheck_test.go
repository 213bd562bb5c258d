package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealthcheck(t *testing.T) {
	noEnvironment(t)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
		case "/moved/healthz":
			http.Redirect(w, r, "/healthz", http.StatusFound)
		case "/ill/healthz":
			http.Error(w, "audit_unavailable: disk full\nmore", http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()

	t.Setenv("PORT", port) // as a platform does
	for _, test := range []struct {
		args string
		want string // "": it is well
	}{
		{"", ""},
		{"--host 0.0.0.0", ""},
		{"--host ::", ""},
		{"--host localhost", ""},
		{"--port 0", "does not say which port"},
		{server.URL + "/healthz", ""},
		{"--port 0 " + server.URL + "/healthz", ""},
		{server.URL + "/moved/healthz", server.URL + "/moved/healthz: 302 Found: "},
		{server.URL + "/ill/healthz", server.URL + "/ill/healthz: 503 Service Unavailable: audit_unavailable: disk full"},
		{server.URL + "/empty/healthz", server.URL + "/empty/healthz: 204 No Content"},
		{server.URL, ""},
		{server.URL + "/", ""},
		{server.URL + "/other", "/other is not the address of /healthz; write " + server.URL + "/healthz"},
		{elsewhere.URL, elsewhere.URL + "/healthz: 404 Not Found: 404 page not found"},
		{"http://" + gone.Addr().String(), gone.Addr().String() + "/healthz: cannot connect to " + gone.Addr().String() + ": connect: connection refused"},
		{"localhost:" + port, ""},
		{"http://localhost:99999", "the port 99999 in the URL must be from 1 to 65535"},
		{"127.0.0.1:" + port + "/healthz", ""},
		{"ftp://localhost", `"ftp://localhost" is not a URL; write the address of /healthz`},
		{"::", `"::" is not a URL; write the address of /healthz, such as http://localhost:3000/healthz`},
	} {
		stdout, err := runWith(t, "healthcheck "+test.args)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (test.want == "") != (err == nil) || !strings.Contains(got, test.want) || strings.Contains(got, "\n") || stdout != "" {
			t.Errorf("httpipe healthcheck %s: %q, printed %q; want %q", test.args, got, stdout, test.want)
		}
	}
}

// TestHealthcheckTimesOut: a server that accepts connections and sends nothing is not healthy.
func TestHealthcheckTimesOut(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	err = askHealth(t.Context(), fmt.Sprintf("http://%s/healthz", silent.Addr()), nil, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("error %v", err)
	}
}
