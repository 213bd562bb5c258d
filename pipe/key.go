package pipe

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Key names a channel. Both parts have passed CheckName.
type Key struct {
	Namespace, Channel string
}

func (k Key) String() string { return k.Namespace + "/" + k.Channel }

// maxName is the longest name, in bytes (which are characters: names are ASCII).
const maxName = 255

// namePunctuation holds the characters that are allowed in a name besides letters and digits: with these, all that
// the path of a URL carries unescaped. So a channel is spelled the same in a URL, a shell, SQL and a load balancer.
const namePunctuation = "-._~!$&'()*+,;=:@"

// CheckName returns nil if s is a valid name of a namespace or a channel. Otherwise it returns an error of one line
// that says what is wrong and what is allowed. The text calls s the what name.
func CheckName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the %s name is empty; it takes 1 to %d characters", what, maxName)
	case len(s) > maxName:
		return fmt.Errorf("the %s name has %d characters; at most %d are allowed", what, len(s), maxName)
	case s == "." || s == "..":
		return fmt.Errorf("a %s cannot be named %q, which has another meaning in a URL", what, s)
	}
	for i := range len(s) {
		if !nameBytes[s[i]] {
			c, _ := utf8.DecodeRuneInString(s[i:])
			return fmt.Errorf("the %s name contains %q; allowed are A-Z a-z 0-9 and %s", what, c, spaced(namePunctuation))
		}
	}
	return nil
}

// nameBytes tells the bytes that are allowed in a name.
var nameBytes = func() (allowed [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + namePunctuation) {
		allowed[c] = true
	}
	return allowed
}()

// spaced puts blanks between the characters of s, to make a list of punctuation readable.
func spaced(s string) string { return strings.Join(strings.Split(s, ""), " ") }
