package access

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Permission is an action on a channel that can be granted.
type Permission string

const (
	Produce Permission = "produce" // send to the channel
	Consume Permission = "consume" // receive from it
	Delete  Permission = "delete"  // close it
	Look    Permission = "look"    // see that it exists, and how many requests wait
	Audit   Permission = "audit"   // read its history
)

// Permissions are all permissions, in the order in which texts list them.
var Permissions = []Permission{Produce, Consume, Delete, Look, Audit}

// ParsePermission returns the permission with that name. Its error is one line and lists the permissions.
func ParsePermission(text string) (Permission, error) {
	names := make([]string, len(Permissions))
	for i, p := range Permissions {
		if text == string(p) {
			return p, nil
		}
		names[i] = string(p)
	}
	return "", fmt.Errorf("%q is not a permission; the permissions are %s", text, strings.Join(names, ", "))
}

// A Pattern matches channels. The zero value matches none.
type Pattern struct{ namespace, channel string }

// everything matches all channels.
var everything = Pattern{"*", "*"}

// patternSyntax is two names with a slash between them, made of the characters that package pipe allows in
// names.
var patternSyntax = regexp.MustCompile(`^[-A-Za-z0-9._~!$&'()*+,;=:@]{1,255}/[-A-Za-z0-9._~!$&'()*+,;=:@]{1,255}$`)

// ParsePattern parses a pattern. Its error is one line.
func ParsePattern(text string) (Pattern, error) {
	if !patternSyntax.MatchString(text) {
		return Pattern{}, fmt.Errorf("%q is not a channel pattern; want namespace/channel, where * matches any part of a name, such as jobs/*; separate several with spaces", text)
	}
	namespace, channel, _ := strings.Cut(text, "/")
	for _, name := range []string{namespace, channel} {
		if name == "." || name == ".." {
			return Pattern{}, fmt.Errorf("%q matches no channel: no name is %q", text, name)
		}
	}
	return Pattern{namespace, channel}, nil
}

// matches reports whether one half of a pattern matches a name. The only special character of path.Match that a
// pattern can contain is "*".
func matches(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	matched, _ := path.Match(pattern, name)
	return matched
}

// A Grant allows one permission on the channels of a pattern.
type Grant struct {
	Permission Permission
	Channels   Pattern
}

// ParseGrants parses grants of the form permission:pattern, separated by spaces. (Names may contain commas.)
func ParseGrants(text string) ([]Grant, error) {
	var grants []Grant
	for field := range strings.FieldsSeq(text) {
		permission, pattern, found := strings.Cut(field, ":")
		if !found {
			return nil, fmt.Errorf("%q is not a grant; want permission:namespace/channel, such as produce:hooks/*", field)
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
		return nil, errors.New("want permission:namespace/channel, such as produce:hooks/*; separate several with spaces")
	}
	return grants, nil
}
