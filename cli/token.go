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

// token makes one for the server that has the same secret. That server need not run, and keeps no list of them.
func token(c *Config) command {
	var t access.Token
	var lifetime time.Duration
	return command{
		name: "token", options: pick(c, "auth-secret", "config"),
		help: "print a token, signed with the secret of the server",
		flags: []option{
			{name: "name", arg: "NAME", help: "whose it is, for the audit log",
				set: into(&t.Name, anyText)},
			{name: "allow", arg: "PERMISSIONS", list: true, help: "of produce, consume, delete, look and audit; with commas",
				set: into(&t.Allow, parsePermissions)},
			{name: "channels", arg: "PATTERN", list: true, help: "for which channels: jobs/*; repeatable",
				set: into(&t.Channels, parsePatterns)},
			{name: "expires", arg: "TIME", help: "for how long it is good; none is for ever", def: "30d",
				set: into(&lifetime, orOff(parseAge))},
		},
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			switch {
			case c.AuthSecret == "":
				return errors.New("--auth-secret is missing: the token is signed with the secret of the server")
			case t.Name == "":
				return errors.New("--name is missing: the audit log calls the token's bearer by it")
			case t.Allow == nil:
				return errors.New("--allow is missing: what the token is for, such as produce or consume,look")
			case t.Channels == nil:
				return errors.New("--channels is missing: which channels the token is for, such as 'jobs/*'; '*/*' is all")
			}
			secrets, err := access.ParseSecrets(c.AuthSecret)
			if err != nil {
				return err
			}
			t.From = time.Now()
			if lifetime > 0 {
				t.Expires = t.From.Add(lifetime)
			}
			signed, err := secrets.Sign(t)
			if err != nil {
				return err
			}
			fmt.Fprintln(stdout, signed)
			return nil
		},
	}
}

// parsePermissions takes permissions with commas or blanks between them.
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

// parsePatterns takes patterns with blanks between them, but no commas, which names may contain.
func parsePatterns(text string) ([]string, error) {
	patterns := strings.Fields(text)
	for _, pattern := range patterns {
		if _, err := access.ParsePattern(pattern); err != nil {
			return nil, err
		}
	}
	if len(patterns) == 0 {
		return nil, errors.New("want namespace/channel, in which * is any part of a name")
	}
	return patterns, nil
}
