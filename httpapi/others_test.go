package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/nodes"
)

// beside runs the server as n1, beside a node n2 that answers as the test says.
func beside(t *testing.T, n2 http.HandlerFunc, changes ...func(*Config)) *testServer {
	t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(nodes.HeaderNode, "n2")
		if !strings.HasPrefix(r.URL.Path, nodes.HealthPath) {
			n2(w, r)
		}
	}))
	t.Cleanup(other.Close)
	table, err := nodes.New([]nodes.Node{{Name: "n1", URL: "http://127.0.0.1:1"}, {Name: "n2", URL: other.URL}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	member, err := nodes.NewMember("n1", table, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, append([]func(*Config){func(c *Config) { c.Nodes = member }}, changes...)...)
	t.Cleanup(func() { r.Journal.Forgive(noAnswer) })
	return r
}

// TestQuestion: another node is asked as its client would ask, and told that a node asks.
func TestQuestion(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-for-tests-0123456789+/="
	secrets, err := access.ParseSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		guard      *access.Guard
		headers    []string
	}{
		{"with the secret", "Bearer " + secret, access.New(secrets, nil), []string{"Authorization: Bearer " + secret}},
		{"without a secret the credential is for a proxy in front", "", access.NewOpen(auditKey), []string{"Authorization: Bearer theirs"}},
		{"without a credential", "", access.New(secrets, []access.Grant{anyone(t)}), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := beside(t, func(w http.ResponseWriter, r *http.Request) {
				h := r.Header
				got := fmt.Sprintf("%s %s|%s|%s|%s|%s", r.Method, r.URL, h.Get("Httpipe-Scope"), h.Get("Authorization"), h.Get("X-Real-Ip"), h.Get("Idempotency-Key"))
				if want := "GET /channels/n|node|" + test.want + "|192.0.2.7|"; got != want {
					t.Errorf("n2 is asked %q, want %q", got, want)
				}
				fmt.Fprint(w, `["b","a"]`)
			}, func(c *Config) { c.Guard, c.ClientIPHeader = test.guard, "X-Real-Ip" })
			a := r.dial().Get("/channels/n?x=1", append(test.headers, "X-Real-IP: 192.0.2.7")...).Answer().Is(200)
			if a.Text != `["a","b"]`+"\n" {
				t.Errorf("the list is %q", a.Text)
			}
		})
	}
}

// anyone returns a grant to look at everything.
func anyone(t *testing.T) access.Grant {
	t.Helper()
	grants, err := access.ParseGrants("look:*/*")
	if err != nil {
		t.Fatal(err)
	}
	return grants[0]
}

// TestAnswersOfNodes: an answer that is not one counts as none.
func TestAnswersOfNodes(t *testing.T) {
	t.Parallel()
	for name, n2 := range map[string]http.HandlerFunc{
		"another name": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(nodes.HeaderNode, "n3")
			fmt.Fprint(w, "[]")
		},
		"an error":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"no such path":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"a redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"not JSON":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `["a",`) },
		"a cut answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "[]")
		},
		"a huge answer":   func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxNodeAnswer+1)) },
		"an endless wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := beside(t, n2)
			if name == "an endless wait" {
				r.others.patience = 50 * time.Millisecond
			}
			a := r.dial().Get("/channels/n").Answer().Failed(502, "node_unreachable")
			if !strings.Contains(a.Text, "no answer from the node n2; the list would not be complete") {
				t.Errorf("the client is told %q", a.Text)
			}
		})
	}
}
