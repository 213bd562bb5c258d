package main

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// account is whom a process that is started as root becomes.
type account struct {
	given    string // as the option says it; empty: nobody else
	uid, gid int
}

// parseAccount takes USER or USER:GROUP, each a name or a number. The machine need not know numbers.
// Without a group it is the user's own, or the one of the same number if the user is not known.
func parseAccount(text string) (account, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	uid, gid, err := lookUser(name)
	if err != nil {
		return account{}, err
	}
	if uid == 0 {
		return account{}, errors.New("want an ordinary user, not root")
	}
	if hasGroup {
		if gid, err = lookGroup(group); err != nil {
			return account{}, err
		}
	}
	return account{given: text, uid: uid, gid: gid}, nil
}

func lookUser(name string) (uid, gid int, err error) {
	uid, err = parseID(name)
	numeric := err == nil
	known, err := user.Lookup(name)
	if numeric {
		known, err = user.LookupId(name)
	}
	switch {
	case err == nil:
		uid, err = parseID(known.Uid)
		if err == nil {
			gid, err = parseID(known.Gid)
		}
		return uid, gid, err
	case numeric:
		return uid, uid, nil
	}
	return 0, 0, fmt.Errorf("there is no user %q here; want one that there is, or numbers such as 65532:65532", name)
}

func lookGroup(name string) (gid int, err error) {
	if gid, err := parseID(name); err == nil {
		return gid, nil
	}
	known, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q here; want one that there is, or numbers such as 65532:65532", name)
	}
	return parseID(known.Gid)
}

func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	return int(id), err
}
