package pipe

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The text forms of waits and times are the same wherever httpipe reads or writes one. CheckName has those of names.

// MaxWait is the longest wait that a client may ask for.
const MaxWait = 24 * time.Hour

// decimal is a number of seconds as people write it.
var decimal = regexp.MustCompile(`^[0-9]+(\.[0-9]*)?$|^\.[0-9]+$`)

// ParseWait reads a Go duration or decimal seconds, from 0 to MaxWait.
func ParseWait(s string) (time.Duration, error) {
	if decimal.MatchString(s) {
		s += "s"
	}
	wait, err := time.ParseDuration(s)
	if err != nil {
		return 0, err
	}
	if wait < 0 || wait > MaxWait || strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("out of range")
	}
	return wait, nil
}

// Timestamp writes a time in UTC, with milliseconds, as the views of the audit log do.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
