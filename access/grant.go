package access

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Permission is what can be allowed.
type Permission string

const (
	Produce Permission = "produce" // send to a channel
	Consume Permission = "consume" // receive from it
	Delete  Permission = "delete"  // destroy it
	Look    Permission = "look"    // see that it exists, and how many wait
	Audit   Permission = "audit"   // read its history
)

var permissions = []Permission{Produce, Consume, Delete, Look, Audit}

// ParsePermission returns the permission of that name, or an error of one line that says which there are.
func ParsePermission(text string) (Permission, error) {
	names := make([]string, len(permissions))
	for i, p := range permissions {
		if text == string(p) {
			return p, nil
		}
		names[i] = string(p)
	}
	return "", fmt.Errorf("%q is no permission; there are %s", text, strings.Join(names, ", "))
}

// A Pattern names channels. The zero value names none.
type Pattern struct{ namespace, channel string }

// everything is the pattern of all channels.
var everything = Pattern{"*", "*"}

// patternForm is two names with a slash between them, of the characters that package pipe lets names have.
var patternForm = regexp.MustCompile(`^[-A-Za-z0-9._~!$&'()*+,;=:@]{1,255}/[-A-Za-z0-9._~!$&'()*+,;=:@]{1,255}$`)

// ParsePattern reads a pattern, or returns an error of one line.
func ParsePattern(text string) (Pattern, error) {
	if !patternForm.MatchString(text) {
		return Pattern{}, fmt.Errorf("%q is no pattern of channels; want namespace/channel, in which * is any part of a name, as in jobs/*; blanks separate several", text)
	}
	namespace, channel, _ := strings.Cut(text, "/")
	for _, name := range []string{namespace, channel} {
		if name == "." || name == ".." {
			return Pattern{}, fmt.Errorf("%q names no channel: nothing is called %q", text, name)
		}
	}
	return Pattern{namespace, channel}, nil
}

// matches reports whether a name is among those that half a pattern stands for. Of what path.Match gives a meaning,
// names may contain * alone.
func matches(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	matched, _ := path.Match(pattern, name)
	return matched
}

// A Grant allows one thing on some channels.
type Grant struct {
	Permission Permission
	Channels   Pattern
}

// ParseGrants reads grants that are separated by blanks, each written permission:pattern. Not by commas, which names
// may contain.
func ParseGrants(text string) ([]Grant, error) {
	var grants []Grant
	for field := range strings.FieldsSeq(text) {
		permission, pattern, found := strings.Cut(field, ":")
		if !found {
			return nil, fmt.Errorf("%q is no grant; want permission:namespace/channel, such as produce:hooks/*", field)
		}
		p, err := ParsePermission(permission)
		if err != nil {
			return nil, err
		}
		channels, err := ParsePattern(pattern)
		if err != nil {
			return nil, err
		}
		grants = append(grants, Grant{p, channels})
	}
	if len(grants) == 0 {
		return nil, errors.New("want permission:namespace/channel, such as produce:hooks/*; several are separated by blanks")
	}
	return grants, nil
}
