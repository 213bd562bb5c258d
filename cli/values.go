package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"httpipe/access"
)

// maxDuration is the longest time that an option accepts, a hundred years: a longer one is a typo, and close to the
// limit of a time.Duration.
const maxDuration = 100 * 365 * 24 * time.Hour

// into returns a function that parses a text and stores the result in field.
func into[T any](field *T, parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		value, err := parse(text)
		if err != nil {
			return err
		}
		*field = value
		return nil
	}
}

// orOff returns a parser that also accepts "0", "off" and "none", for the zero value. Its error says what 0 is for, such
// as "no limit".
func orOff[T any](zeroIs string, parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (T, error) {
		var zero T
		switch text {
		case "0", "off", "none":
			return zero, nil
		}
		value, err := parse(text)
		if err != nil {
			return zero, fmt.Errorf("%w, or 0 for %s", err, zeroIs)
		}
		return value, nil
	}
}

// orWord returns a parser that also accepts a word, for the zero value.
func orWord[T any](word string, parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (T, error) {
		var zero T
		if text == word {
			return zero, nil
		}
		value, err := parse(text)
		if err != nil {
			return zero, fmt.Errorf("%w, or %s", err, word)
		}
		return value, nil
	}
}

// positive returns a parser that rejects zero, for an option where zero does not mean "off".
func positive[T int64 | time.Duration](parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (T, error) {
		value, err := parse(text)
		if err == nil && value == 0 {
			err = errors.New("must be more than 0")
		}
		return value, err
	}
}

// oneOf returns a parser that accepts only these words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		names := make([]string, len(words))
		for i, word := range words {
			if text == string(word) {
				return word, nil
			}
			names[i] = string(word)
		}
		return "", fmt.Errorf("want one of %s", strings.Join(names, ", "))
	}
}

func anyText(text string) (string, error) { return text, nil }

func parseFileName(text string) (string, error) {
	if text == "" {
		return "", errors.New("must not be empty")
	}
	return text, nil
}

func parseBool(text string) (bool, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("want true or false")
	}
	return value, nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errors.New("want a number from 0 to 65535")
	}
	return int(port), nil
}

// parseCount reads a whole number, 1 or more.
func parseCount(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, errors.New("want a whole number, 1 or more")
	}
	return int(n), nil
}

// parseHeaderName reads the name of an HTTP header that can hold a client's address.
func parseHeaderName(text string) (string, error) {
	if !headerName.MatchString(text) {
		return "", errors.New("want the name of a header, such as X-Real-IP")
	}
	name := http.CanonicalHeaderKey(text)
	why := noAddressIn[name]
	if clientHeader.MatchString(name) {
		why = "clients choose what " + name + " holds"
	}
	if why != "" {
		return "", errors.New(why + "; want a header in which a proxy sends the client's address, such as X-Real-IP")
	}
	return text, nil
}

// noAddressIn lists headers that proxies send and that never hold an address, with what each holds instead.
var noAddressIn = map[string]string{
	"Forwarded":         "Forwarded holds pairs such as for=192.0.2.1, which httpipe does not read",
	"Host":              "Host holds the server's name",
	"Authorization":     "Authorization holds the client's credentials",
	"X-Forwarded-Host":  "X-Forwarded-Host holds the server's name",
	"X-Forwarded-Port":  "X-Forwarded-Port holds the server's port",
	"X-Forwarded-Proto": "X-Forwarded-Proto holds the scheme",
}

// clientHeader matches standard headers in which clients describe themselves, their request or their connection. A proxy
// passes them on as they are, or not at all.
var clientHeader = regexp.MustCompile(`^(Accept|Access-Control-|Content-|Httpipe-|If-|Proxy-|Sec-|(Cache-Control|Connection|Cookie|Date|` +
	`Expect|From|Keep-Alive|Origin|Pragma|Prefer|Range|Referer|Te|Trailer|Transfer-Encoding|Upgrade|User-Agent|Via)$)`)

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// parseHost rejects text that cannot be a host, such as a URL or a host with its port. Whether the host exists shows
// when the listener opens.
func parseHost(text string) (string, error) {
	_, _, err := net.SplitHostPort(text)
	hasPort := err == nil
	if text == "" || hasPort || strings.ContainsAny(text, "/[] \t") {
		return "", errors.New("want a host name or an IP address, without a port")
	}
	return text, nil
}

// parseDomain reads a name that a certificate can be for.
func parseDomain(text string) (string, error) {
	if !domainName.MatchString(text) || net.ParseIP(text) != nil {
		return "", errors.New("want a full host name, such as relay.example.com")
	}
	return text, nil
}

var domainName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}$`)

// authorities are the certificate authorities that have a name of their own: for use, and to try without limits.
var authorities = map[string]string{
	"letsencrypt":         "https://acme-v02.api.letsencrypt.org/directory",
	"letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}

// parseACMEURL reads the address of an authority's directory, or its name.
func parseACMEURL(text string) (string, error) {
	if known, ok := authorities[text]; ok {
		return known, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", errors.New("want the https address of an ACME directory, letsencrypt or letsencrypt-staging")
	}
	return text, nil
}

// parseAddr reads an address to listen on, with its port. No host means all interfaces.
func parseAddr(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err == nil && host != "" {
		_, err = parseHost(host)
	}
	if err == nil {
		_, err = parsePort(port)
	}
	if err != nil {
		return "", errors.New("want an address with its port, such as 127.0.0.1:9091")
	}
	return text, nil
}

// quoted reports whether a text is in quotes. A shell removes them; a config file, and docker run --env-file, do not.
func quoted(text string) bool {
	return len(text) > 1 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0]
}

func parseSecret(text string) (access.Secrets, error) {
	if quoted(text) {
		return access.Secrets{}, errors.New("the secret is in quotes, which would be part of it; leave them out")
	}
	secrets, err := access.ParseSecrets(text)
	if newer, older, two := strings.Cut(text, ","); err == nil && two && strings.TrimSpace(newer) == strings.TrimSpace(older) {
		err = errors.New("the two secrets are the same")
	}
	return secrets, err
}

// parseDuration reads seconds ("1.5"), days ("90d") or a Go duration ("1h30m"). It rejects a time above zero and below a
// millisecond: that is a typo, and might be rounded to zero, which often means no limit.
func parseDuration(text string) (time.Duration, error) {
	number, unit := text, time.Second
	if days, ok := strings.CutSuffix(text, "d"); ok {
		number, unit = days, 24*time.Hour
	}
	n, err := strconv.ParseFloat(number, 64)
	ns := n * float64(unit)
	if err != nil {
		var d time.Duration
		d, err = time.ParseDuration(text)
		ns = float64(d)
	}
	inRange := ns == 0 || ns >= float64(time.Millisecond) && ns <= float64(maxDuration) // false for NaN
	if err != nil || !inRange {
		return 0, errors.New("want seconds, such as 1.5, or a time such as 30s, 12h or 90d, up to 100 years")
	}
	return time.Duration(math.Round(ns)), nil
}

// parseAge is parseDuration, but requires a unit: a user who writes 90 means days, and would lose the log.
func parseAge(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errors.New("want a time with its unit, such as 90d or 12h")
	}
	return parseDuration(text)
}

// partOfByte matches a fraction in bytes, such as 1.5 or 1.5B: its unit was probably forgotten.
var partOfByte = regexp.MustCompile(`\.[0-9]* *[bB]?$`)

// parseSize reads a number of bytes, which may have a unit (KB, KiB, …). It rejects what humanize accepts: a thousands
// separator, which makes "1,5MB" fifteen megabytes, and parts of a byte, which it drops.
func parseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1 || n > math.MaxInt64 || strings.Contains(text, ",") || partOfByte.MatchString(text) {
		return 0, errors.New("want a number of bytes, such as 65536, 64KiB or 10MB")
	}
	return int64(n), nil
}

// sizeBetween returns parseSize with limits, which its error quotes.
func sizeBetween(low, high int64, limits string) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := parseSize(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("want a number of bytes from %s, such as 64KiB", limits)
		}
		return n, nil
	}
}

func parseLevel(text string) (slog.Level, error) {
	name, err := oneOf("debug", "info", "warn", "error")(text)
	if err != nil {
		return 0, err // slog itself also accepts words such as INFO+2
	}
	var level slog.Level
	err = level.UnmarshalText([]byte(name))
	return level, err
}
