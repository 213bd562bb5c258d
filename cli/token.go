package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"httpipe/access"
)

// token signs a token for the server that has the same secret. That server need not run, and keeps no list of tokens.
func token(c *Config) command {
	var t access.Token
	var lifetime time.Duration
	var permissions []string
	for _, p := range access.Permissions {
		permissions = append(permissions, string(p))
	}
	return command{
		name: "token", options: reword(pick(c, "auth-secret", "config"), "auth-secret", "the server's secret, which signs the token"),
		help: "print a token, signed with the server's secret",
		more: "The exit status is 3 if no option, variable or config file sets the secret.",
		flags: []option{
			{name: "name", arg: "NAME", help: "name of the token's holder in the audit log",
				set: into(&t.Name, anyText)},
			{name: "allow", arg: "PERMISSIONS", list: true, help: "any of " + strings.Join(permissions, ", ") + "; comma-separated", words: permissions,
				set: into(&t.Allow, parsePermissions)},
			{name: "channels", arg: "PATTERN", list: true, help: "channels that the token is for, such as jobs/*; repeatable",
				set: into(&t.Channels, parsePatterns)},
			{name: "expires", arg: "TIME", help: "how long the token is valid, such as 12h; none: it never expires", def: "30d",
				set: into(&lifetime, parseLifetime)},
		},
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			switch {
			case c.AuthSecret.None():
				return errNoSecret
			case t.Name == "":
				return usageErrorf("--name is missing: it names the token's holder in the audit log")
			case t.Allow == nil:
				return usageErrorf("--allow is missing: it lists what the token permits, such as produce or consume,look")
			case t.Channels == nil:
				return usageErrorf("--channels is missing: it lists the channels that the token is for, such as 'jobs/*'; '*/*' is all")
			}
			t.From = time.Now()
			if lifetime > 0 {
				t.Expires = t.From.Add(lifetime)
			}
			signed, err := c.AuthSecret.Sign(t)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, signed)
			return err
		},
	}
}

// parseLifetime reads how long a token is valid. Zero is never, and only "none" means that: a 0 may be a variable that was
// not meant to be 0.
func parseLifetime(text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	if lifetime, err := parseDuration(text); err == nil && lifetime == 0 {
		return 0, errors.New("must be more than 0; for a token that never expires, write none")
	}
	return parseAge(text)
}

// parsePermissions reads permissions separated by commas or spaces.
func parsePermissions(text string) ([]access.Permission, error) {
	var all []access.Permission
	for name := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ',' || c == ' ' }) {
		p, err := access.ParsePermission(name)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if all == nil {
		return nil, errors.New("want permissions, such as produce or consume,look")
	}
	return all, nil
}

// parsePatterns reads patterns separated by spaces; a name may contain commas.
func parsePatterns(text string) ([]string, error) {
	patterns := strings.Fields(text)
	for _, pattern := range patterns {
		if _, err := access.ParsePattern(pattern); err != nil {
			return nil, err
		}
	}
	if len(patterns) == 0 {
		return nil, errors.New("want namespace/channel, where * matches any part of a name")
	}
	return patterns, nil
}
