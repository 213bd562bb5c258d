package client

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind is what a URL names.
type Kind string

const (
	Channel Kind = "channel"
	Topic   Kind = "topic"
	Service Kind = "service"
)

// prefixes are the parts of a path before the namespace. The client sends its requests to the first one.
var prefixes = map[Kind][]string{
	Channel: {"/channels/"},
	Topic:   {"/topics/"},
	Service: {"/work/", "/services/"},
}

// An Address is where a client sends to or receives from: the URL of a channel, a topic or a service.
type Address struct {
	base   string // the URL of the relay, without a slash at its end
	prefix string
	name   string // NAMESPACE/NAME, as it was typed
	query  string // without ?
}

// ParseAddress reads the URL of a channel, a topic or a service. Without a scheme it is http. The URL of a service is
// that of its callers or that of its workers. The error says what to write instead.
func ParseAddress(text string, kind Kind) (Address, error) {
	shown, _, _ := strings.Cut(text, "?") // without what may be a token
	shown = shown[strings.LastIndexByte(shown, '@')+1:]
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Address{}, noAddress(shown, kind, "http://localhost:3000")
	}
	if err := CheckPort(u); err != nil {
		return Address{}, err
	}
	if u.User != nil {
		return Address{}, errors.New("the URL has a password in it; put the token into the variable HTTPIPE_TOKEN or a file (--token-file)")
	}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return Address{}, fmt.Errorf("the query of the URL cannot be parsed: %w", err)
	case query.Has("token"):
		return Address{}, errors.New("the URL has a token in it; put the token into the variable HTTPIPE_TOKEN or a file (--token-file)")
	case query.Has("wait"):
		return Address{}, errors.New("the URL has ?wait= in it; use --wait instead")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if name := u.EscapedFragment(); name != "" && path == "" && kind == Channel { // the link of the page at /
		if !strings.Contains(name, "/") {
			name = "v1/" + name // as the page has it
		}
		path = "/channels/" + name
	}
	for _, prefix := range prefixes[kind] {
		base, name, found := strings.Cut(path, prefix)
		if names := strings.Split(name, "/"); found && len(names) == 2 && !slices.Contains(names, "") {
			return Address{base: u.Scheme + "://" + u.Host + base, prefix: prefixes[kind][0], name: name, query: u.RawQuery}, nil
		}
	}
	return Address{}, noAddress(shown, kind, u.Scheme+"://"+u.Host)
}

// CheckPort returns an error if u has a port that does not exist. url.Parse takes any number.
func CheckPort(u *url.URL) error {
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("the port %s in the URL must be from 1 to 65535", port)
	}
	return nil
}

// noAddress is the error for a text that is not the URL of a channel, a topic or a service.
func noAddress(text string, kind Kind, relay string) error {
	example := prefixes[kind][len(prefixes[kind])-1]
	return fmt.Errorf("%q is not the URL of a %s, such as %s%sdemo/hello", text, kind, relay, example)
}

// String returns the URL of the requests, without a query.
func (a Address) String() string { return a.base + a.prefix + a.name }

// Name returns NAMESPACE/NAME.
func (a Address) Name() string { return a.name }

// url returns the URL of a request, with parameters added to the query.
func (a Address) url(parameters ...string) string {
	if a.query != "" {
		parameters = slices.Insert(parameters, 0, a.query)
	}
	query := strings.Join(parameters, "&")
	if query == "" {
		return a.String()
	}
	return a.String() + "?" + query
}

// waiting returns the URL of a request that waits for at most that time.
func (a Address) waiting(wait time.Duration) string {
	return a.url("wait=" + url.QueryEscape(wait.Round(time.Millisecond).String()))
}

// With returns the address with a parameter added to its query.
func (a Address) With(name, value string) Address {
	_, a.query, _ = strings.Cut(a.url(name+"="+url.QueryEscape(value)), "?")
	return a
}
