package access

import (
	"slices"
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	for text, good := range map[string]bool{
		"v1/do_work":        true,
		"*/*":               true,
		"ci-*/*.log":        true,
		long + "/" + long:   true,
		"a,b/c:d":           true,
		"":                  false,
		"*":                 false,
		"v1":                false,
		"v1/":               false,
		"/a":                false,
		"v1/a/b":            false,
		"v1/a b":            false,
		"v1/a\n":            false,
		"v1/[a]":            false,
		"v1/a?":             false,
		`v1/\*`:             false,
		"v1/ü":              false,
		"../a":              false,
		"v1/.":              false,
		"v1/.*":             true,
		"a/*,b/*":           false,
		long + "x/" + "a":   false,
		"a/" + long + "xxx": false,
	} {
		if _, err := ParsePattern(text); (err == nil) != good {
			t.Errorf("%.40q: %v", text, err)
		} else if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: the error has several lines: %v", text, err)
		}
	}
}

func TestParseGrants(t *testing.T) {
	t.Parallel()
	got, err := ParseGrants(" produce:hooks/*\tlook:a:b/c,d ")
	want := []Grant{{Produce, Pattern{"hooks", "*"}}, {Look, Pattern{"a:b", "c,d"}}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"", " ", "produce", "hooks/*", "produce:", "produce:hooks", "read:hooks/*", "Produce:a/b",
		"produce:hooks/*,consume:pub/*", "produce:a/b consume"} {
		if got, err := ParseGrants(text); err == nil {
			t.Errorf("%q: no error, got %v", text, got)
		}
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	b := &Bearer{
		grants: []Grant{
			{Produce, Pattern{"jobs", "*"}},
			{Consume, Pattern{"jobs", "ci-*-x"}},
			{Delete, Pattern{"tmp*", "**"}},
			{Look, Pattern{"*", "a*b*c"}},
		},
		everyone: []Grant{{Produce, Pattern{"hooks", "in"}}},
	}
	for _, test := range []struct {
		p                  Permission
		namespace, channel string
		want               bool
	}{
		{Produce, "jobs", "build", true},
		{Produce, "jobs", "*", true},
		{Produce, "jobss", "build", false},
		{Produce, "Jobs", "build", false},
		{Produce, "hooks", "in", true},
		{Produce, "hooks", "inn", false},
		{Consume, "hooks", "in", false},
		{Consume, "jobs", "ci-1-x", true},
		{Consume, "jobs", "ci--x", true},
		{Consume, "jobs", "ci-x", false},
		{Consume, "jobs", "ci-1-xy", false},
		{Delete, "tmp", "a", true},
		{Delete, "tmp1", "a", true},
		{Delete, "xtmp", "a", false},
		{Look, "n", "abc", true},
		{Look, "n", "a1b2c", true},
		{Look, "n", "acb", false},
		{Audit, "jobs", "build", false},
	} {
		if got := b.May(test.p, test.namespace, test.channel); got != test.want {
			t.Errorf("%s on %s/%s: %v, want %v", test.p, test.namespace, test.channel, got, test.want)
		}
	}
	for _, test := range []struct {
		p              Permission
		namespace      string
		all, some, any bool
	}{
		{Produce, "jobs", true, true, true},
		{Produce, "hooks", false, true, true},
		{Produce, "other", false, false, true},
		{Consume, "jobs", false, true, true},
		{Delete, "tmp", true, true, true},
		{Look, "whatever", false, true, true},
		{Audit, "jobs", false, false, false},
	} {
		all, some, any := b.MayAll(test.p, test.namespace), b.MaySome(test.p, test.namespace), b.MayAny(test.p)
		if all != test.all || some != test.some || any != test.any {
			t.Errorf("%s in %s: all %v, some %v, any %v, want %v, %v, %v", test.p, test.namespace, all, some, any, test.all, test.some, test.any)
		}
	}
}

func TestMayEverywhere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		channels string
		want     bool
	}{
		{"*/*", true},
		{"**/**", true},
		{"jobs/*", false},
		{"*/jobs", false},
		{"j*/*", false},
		{"jobs/* */jobs", false},
		{"jobs/* */*", true},
	} {
		var b Bearer
		for channels := range strings.FieldsSeq(test.channels) {
			pattern, err := ParsePattern(channels)
			if err != nil {
				t.Fatal(err)
			}
			b.grants = append(b.grants, Grant{Audit, pattern})
		}
		if got := b.MayEverywhere(Audit); got != test.want {
			t.Errorf("audit on %s: MayEverywhere is %v, want %v", test.channels, got, test.want)
		}
		if b.MayEverywhere(Look) {
			t.Errorf("audit on %s: look is allowed everywhere", test.channels)
		}
	}
}
