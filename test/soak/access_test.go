//go:build linux

package soak

import (
	"database/sql"
	"encoding/base64"
	"net/http"
	"strings"

	"httpipe/test/kit"
)

// The server has two secrets, and each client a token with the permissions that it needs.

const soakSecret = kit.Secret + "," + kit.AnotherSecret

// tokens are the clients' tokens by role; "" is for looking and deleting.
type tokens map[string]string

func (s *soakRun) makeTokens() tokens {
	sign := func(secret, name, allow string) string {
		return kit.Token(s.t, secret, "--name", name, "--allow", allow, "--channels", "soak-*/*", "--expires", "2d")
	}
	return tokens{
		"producer": sign(kit.Secret, "producer", "produce"),
		"consumer": sign(kit.AnotherSecret, "consumer", "consume"),
		"":         sign(kit.Secret, "observer", "look,delete"),
	}
}

// show puts a client's token into the request in one of the three possible ways. It returns the target and headers.
func (b tokens) show(n *note, target string) (string, []string) {
	token := b[n.role]
	switch n.number % 3 {
	case 0:
		return target, []string{"Authorization: Bearer " + token}
	case 1:
		return target, []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(":"+token))}
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + "token=" + token, nil
}

// A tokenTransport adds a token to each request.
type tokenTransport struct {
	*http.Transport
	token string
}

func (v tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth("", v.token)
	return v.Transport.RoundTrip(r)
}

// checkAccess: each row has the right subject, and no request was refused.
func (s *soakRun) checkAccess(db *sql.DB) {
	for what, query := range map[string]string{
		"exchanges have other subjects": "SELECT count(*) FROM exchanges WHERE namespace < 'soak-d' AND (producer_subject <> 'producer' OR consumer_subject <> 'consumer')",
		"requests have other subjects":  "SELECT count(*) FROM requests WHERE namespace < 'soak-d' AND subject <> role",
		"requests were not allowed":     "SELECT count(*) FROM requests WHERE reason LIKE '%: %'",
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n > 0 {
			s.findings.add("access", "%d %s, %v", n, what, err)
		}
	}
}
