package cli

import (
	"strings"
	"testing"
)

// TestEscape: no text makes a terminal do something, however it is cut into writes.
func TestEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain, naïve, 日本, 👍":         "plain, naïve, 日本, 👍",
		"\x1b[31mred\x07":             `\u001b[31mred\u0007`,
		"\u009b2J":                    `\u009b2J`,
		"a\u202eb\u2066c\u200bd":      `a\u202eb\u2066c\u200bd`,
		"\x7f\r\t":                    `\u007f\u000d\u0009`,
		"\U000e0041":                  `\udb40\udc41`,
		"\x9b1m\xff":                  `\x9b1m\xff`,
		"replaced \ufffd":             "replaced \ufffd",
		"{\"agent\":\"\u0085\"}\nb\n": "{\"agent\":\"\\u0085\"}\nb\n",
	} {
		if got := escape(text); !strings.Contains(text, "\n") && got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		for cut := range len(text) {
			var b strings.Builder
			e := &escaper{w: &b}
			for _, part := range []string{text[:cut], text[cut:], "\n"} {
				if n, err := e.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
			if b.String() != want+"\n" {
				t.Errorf("%q, cut after %d bytes, is %q, want %q", text, cut, b.String(), want+"\n")
			}
		}
	}
}
