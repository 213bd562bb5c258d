//go:build linux

package soak

import (
	"database/sql"
	"encoding/base64"
	"net/http"
	"strings"

	"httpipe/test/kit"
)

// The soak's server has a secret, and each of its clients a token for what it does.

const soakSecret = kit.Secret + "," + kit.AnotherSecret

// badges are what the soak's clients show, by their role; "" is for looking and deleting.
type badges map[string]string

func (s *storm) makeBadges() badges {
	sign := func(secret, name, allow string) string {
		return kit.Token(s.t, secret, "--name", name, "--allow", allow, "--channels", "soak-*/*", "--expires", "2d")
	}
	return badges{
		"producer": sign(kit.Secret, "producer", "produce"),
		"consumer": sign(kit.AnotherSecret, "consumer", "consume"),
		"":         sign(kit.Secret, "visitor", "look,delete"),
	}
}

// show puts a client's badge into one of the places where it can be.
func (b badges) show(n *note, target string) (string, []string) {
	badge := b[n.role]
	switch n.number % 3 {
	case 0:
		return target, []string{"Authorization: Bearer " + badge}
	case 1:
		return target, []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(":"+badge))}
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + "token=" + badge, nil
}

// A visitor is a transport that shows a badge.
type visitor struct {
	*http.Transport
	badge string
}

func (v visitor) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth("", v.badge)
	return v.Transport.RoundTrip(r)
}

// checkAccess: everybody was who he is, and nobody was kept out who may come in.
func (s *storm) checkAccess(db *sql.DB) {
	for what, query := range map[string]string{
		"exchanges have other subjects": "SELECT count(*) FROM exchanges WHERE producer_subject <> 'producer' OR consumer_subject <> 'consumer'",
		"requests have other subjects":  "SELECT count(*) FROM requests WHERE subject <> role",
		"requests were not allowed":     "SELECT count(*) FROM requests WHERE reason LIKE '%: %'",
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n > 0 {
			s.findings.add("access", "%d %s, %v", n, what, err)
		}
	}
}
