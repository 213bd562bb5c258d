package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// minSecret is how long a secret is, in bytes: whoever has a token can try out secrets on it, as fast as his machines
// are.
const minSecret = 32

// Secrets are one server's: tokens that are signed with any of them are good, and new ones are signed with the first.
// A second one is there while the first takes its place.
type Secrets struct {
	keys [][]byte
	sums [][sha256.Size]byte // of the keys: they can be compared in a time that says nothing of them
}

// ParseSecrets reads one or two secrets with a comma between them. Its errors, of one line, do not contain them.
func ParseSecrets(text string) (Secrets, error) {
	var s Secrets
	for key := range strings.SplitSeq(text, ",") {
		key = strings.TrimSpace(key)
		switch {
		case len(key) < minSecret || len(key) > maxToken:
			return Secrets{}, fmt.Errorf("a secret has %d to %d characters; head -c 32 /dev/urandom | base64 makes a good one", minSecret, maxToken)
		case strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }):
			return Secrets{}, errors.New("a secret is made of visible ASCII characters, without blanks, since it goes into headers")
		}
		s.keys = append(s.keys, []byte(key))
		s.sums = append(s.sums, sha256.Sum256([]byte(key)))
	}
	if len(s.keys) > 2 {
		return Secrets{}, errors.New("want one secret, or two, with a comma between them, while the first takes the place of the second")
	}
	return s, nil
}
