package pipe

import (
	"strings"
	"testing"
)

func TestCheckNameAllows(t *testing.T) {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"
	for c := range byte(128) {
		name := "a" + string(rune(c))
		want := strings.IndexByte(allowed, c) >= 0
		if err := CheckName("channel", name); (err == nil) != want {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"a", "...", ".a", "a.", "..a", "namespaces", allowed, strings.Repeat("x", 255)} {
		if err := CheckName("channel", name); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckNameRejects(t *testing.T) {
	tests := []struct{ name, reason string }{
		{"", "is empty"},
		{strings.Repeat("x", 256), "has 256 characters; at most 255"},
		{".", "cannot be named"},
		{"..", "cannot be named"},
		{"a b", `contains ' '`},
		{"a/b", `contains '/'`},
		{"a%20b", `contains '%'`},
		{"a?b", `contains '?'`},
		{"a#b", `contains '#'`},
		{`a"b`, `contains '"'`},
		{`a\b`, `contains '\\'`},
		{"a\x00b", `contains '\x00'`},
		{"a\nb", `contains '\n'`},
		{"a\x7fb", `contains '\x7f'`},
		{"größe", `contains 'ö'`},
		{"a\xffb", `contains '�'`},
		{"名", `contains '名'`},
	}
	for _, test := range tests {
		err := CheckName("channel", test.name)
		switch {
		case err == nil:
			t.Errorf("CheckName(%q) = nil, want an error", test.name)
		case !strings.Contains(err.Error(), test.reason) || !strings.Contains(err.Error(), "channel"):
			t.Errorf("CheckName(%q) = %v, want it to say %s", test.name, err, test.reason)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("CheckName(%q) has more than one line: %v", test.name, err)
		}
	}
}

func TestKeyString(t *testing.T) {
	if got := (Key{"demo", "hello"}).String(); got != "demo/hello" {
		t.Errorf("String = %s", got)
	}
}
