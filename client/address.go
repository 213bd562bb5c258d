package client

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// An Address is where a client sends to or receives from: the URL of a channel.
type Address struct {
	base  string // the URL of the relay, without a slash at its end
	path  string // /channels/NAMESPACE/CHANNEL, as it was typed
	query string // without ?
}

// ParseAddress reads the URL of a channel. Without a scheme it is http. The error says what to write instead.
func ParseAddress(text string) (Address, error) {
	shown, _, _ := strings.Cut(text, "?") // without what may be a token
	shown = shown[strings.LastIndexByte(shown, '@')+1:]
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Address{}, fmt.Errorf("%q is not the URL of a channel, such as http://localhost:3000/channels/demo/hello", shown)
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
	if u.Fragment != "" && path == "" { // the link of the page at /
		path = "/channels/" + u.EscapedFragment()
	}
	prefix, name, found := strings.Cut(path, "/channels/")
	names := strings.Split(name, "/")
	if !found || len(names) != 2 || slices.Contains(names, "") {
		return Address{}, fmt.Errorf("%q is not the URL of a channel, such as %s://%s/channels/demo/hello", shown, u.Scheme, u.Host)
	}
	return Address{base: u.Scheme + "://" + u.Host + prefix, path: "/channels/" + name, query: u.RawQuery}, nil
}

// String returns the URL of the channel, without its query.
func (a Address) String() string { return a.base + a.path }

// Name returns NAMESPACE/CHANNEL.
func (a Address) Name() string { return strings.TrimPrefix(a.path, "/channels/") }

// url returns the URL of a request, with a parameter added to the query.
func (a Address) url(parameter string) string {
	query := a.query
	if query != "" && parameter != "" {
		query += "&"
	}
	if query += parameter; query == "" {
		return a.String()
	}
	return a.String() + "?" + query
}
