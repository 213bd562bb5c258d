package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// parseOrigins takes "*" and origins, separated by commas, and returns these in lower case. Browsers spell an
// origin in one way only; one that is spelled otherwise would never match, and nobody would notice.
func parseOrigins(text string) ([]string, error) {
	origins := strings.Split(text, ",")
	seen := map[string]bool{}
	for i, origin := range origins {
		origin = strings.ToLower(strings.TrimSpace(origin))
		if origin != "*" {
			err := checkOrigin(origin)
			if err != nil && len(origins) > 1 {
				err = fmt.Errorf("%q: %w", origin, err)
			}
			if err != nil {
				return nil, err
			}
		}
		if seen[origin] {
			return nil, fmt.Errorf("%s is given twice", origin)
		}
		seen[origin] = true
		origins[i] = origin
	}
	return origins, nil
}

var (
	// originForm is scheme://authority; anything after the authority is a mistake that the error names.
	originForm = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://([^/?# \t]+)([^ \t]*)$`)
	// hostForm is a host name as browsers write it: a name in other scripts is in its ASCII form there.
	hostForm = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$`)
	// numberForm is a last label that makes browsers read the whole host as an IPv4 address.
	numberForm = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`)
)

// defaultPorts are the ports that browsers leave out.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// checkOrigin returns why a browser never sends this origin, or nil. Browser extensions and apps have schemes of
// their own, of which only the form is checked.
func checkOrigin(origin string) error {
	parts := originForm.FindStringSubmatch(origin)
	if parts == nil {
		if origin == "null" {
			return errors.New("null is the origin of every local file and sandboxed page, relayed messages among them; want * or origins such as https://example.com")
		}
		return errors.New("want * or origins such as https://example.com; separate origins with commas")
	}
	scheme, authority, rest := parts[1], parts[2], parts[3]
	switch {
	case strings.Contains(authority+rest, "://"):
		return errors.New("separate origins with commas")
	case rest != "":
		return fmt.Errorf("an origin has no path: leave out %q", rest)
	case strings.Contains(authority, "@"):
		return errors.New("an origin has no user or password")
	case strings.Contains(authority, "*"):
		return errors.New("an origin has no wildcards: list each origin, or allow any with *")
	case scheme == "ws" || scheme == "wss" || scheme == "ftp" || scheme == "file":
		return fmt.Errorf("no page has an origin of the scheme %s; want https or http", scheme)
	case scheme != "http" && scheme != "https":
		return nil
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		if port == defaultPorts[scheme] {
			return fmt.Errorf("browsers leave the default port out: write %s://%s", scheme, host)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fmt.Errorf("%q is not a port from 1 to 65535", port)
		}
	}
	return checkHost(host)
}

// checkHost returns why browsers never write the host of an origin like this, or nil.
func checkHost(host string) error {
	if inside, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		switch {
		case err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inside, "]"):
			return fmt.Errorf("%s is not an IPv6 address in brackets", host)
		case !addr.Is4In6() && "["+addr.String()+"]" != host:
			return fmt.Errorf("browsers write this host as [%s]", addr)
		}
		return nil
	}
	if strings.ContainsFunc(host, func(c rune) bool { return c > '~' }) {
		return fmt.Errorf("browsers write the host %s in its ASCII form, which begins with xn--", host)
	}
	if !hostForm.MatchString(host) {
		return fmt.Errorf("%q is not a host name", host)
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; numberForm.MatchString(last) {
		if addr, err := netip.ParseAddr(host); err != nil || addr.String() != host {
			return fmt.Errorf("browsers write an IPv4 address as four decimal numbers, which %s is not", host)
		}
	}
	return nil
}
