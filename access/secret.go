package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// minSecret is the minimum length of a secret in bytes. A client with a token can try out secrets on it
// offline.
const minSecret = 32

// Secrets are the secrets of one server. Tokens may be signed with any of them; new ones are signed with the
// first. A second secret is for the time of a rotation.
type Secrets struct {
	keys [][]byte
	sums [][sha256.Size]byte // hashes of the keys, for comparison in constant time
}

// None reports whether there is no secret.
func (s Secrets) None() bool { return len(s.keys) == 0 }

// ParseSecrets parses one or two secrets, separated by a comma. Its errors are one line and do not contain the
// secrets.
func ParseSecrets(text string) (Secrets, error) {
	var s Secrets
	for key := range strings.SplitSeq(text, ",") {
		key = strings.TrimSpace(key)
		switch {
		case len(key) < minSecret || len(key) > maxToken:
			return Secrets{}, fmt.Errorf("a secret must have %d to %d characters; to create one: head -c 32 /dev/urandom | base64", minSecret, maxToken)
		case strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }):
			return Secrets{}, errors.New("a secret must consist of visible ASCII characters without blanks, because it is sent in headers")
		}
		s.keys = append(s.keys, []byte(key))
		s.sums = append(s.sums, sha256.Sum256([]byte(key)))
	}
	if len(s.keys) > 2 {
		return Secrets{}, errors.New("want one secret, or two separated by a comma during a rotation")
	}
	return s, nil
}
