package process

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// An Account is a user, with a group, that a process can run as. The zero value is no account.
type Account struct {
	Given    string // the text that ParseAccount was given
	UID, GID int
}

// ParseAccount reads USER or USER:GROUP, each a name or a number. A number need not be known on this machine.
// Without a group, the group is the user's own, or, for an unknown user, the one with the same number. Root is an
// error.
func ParseAccount(text string) (Account, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	uid, gid, err := lookUpUser(name)
	if err != nil {
		return Account{}, err
	}
	if uid == 0 {
		return Account{}, errors.New("want an ordinary user, not root")
	}
	if hasGroup {
		if gid, err = lookUpGroup(group); err != nil {
			return Account{}, err
		}
	}
	return Account{Given: text, UID: uid, GID: gid}, nil
}

func lookUpUser(name string) (uid, gid int, err error) {
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
	return 0, 0, fmt.Errorf("unknown user %q; want an existing user, or numbers such as 65532:65532", name)
}

func lookUpGroup(name string) (gid int, err error) {
	if gid, err := parseID(name); err == nil {
		return gid, nil
	}
	known, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("unknown group %q; want an existing group, or numbers such as 65532:65532", name)
	}
	return parseID(known.Gid)
}

func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	return int(id), err
}
