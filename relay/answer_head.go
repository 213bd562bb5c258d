package relay

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// newAnswerHead returns the head of the caller's response from the header lines of an answer, or the error for the worker.
func newAnswerHead(lines string) (*pipe.AnswerHead, *reply.Error) {
	wrong := func(text string) (*pipe.AnswerHead, *reply.Error) {
		return nil, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: text + "; the call still waits for its answer"}
	}
	h := new(pipe.AnswerHead)
	for f := range http1.EachField(lines) {
		switch name, found := cutPrefixFold(f.Name, reply.HeaderPrefix); {
		case strings.EqualFold(f.Name, reply.HeaderStatus):
			status, err := strconv.Atoi(f.Value)
			if err != nil || status < 200 || status > 599 || h.Status != 0 {
				return wrong(reply.HeaderStatus + " must be one number from 200 to 599")
			}
			h.Status = status
		case !found || !mayAnswer(strings.ToLower(name)):
		case len(h.Fields) == maxFields:
			return wrong("the answer has more than " + strconv.Itoa(maxFields) + " headers that begin with " + reply.HeaderPrefix)
		default:
			h.Fields = append(h.Fields, pipe.Field{Name: name, Value: f.Value})
		}
	}
	if h.Status == 0 {
		h.Status = http.StatusOK
	}
	return h, nil
}

func cutPrefixFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// mayAnswer reports whether an answer may set the header of that name, which is in lower case. Browsers and proxies
// apply the other headers to this server as a whole, so a worker must not set them.
func mayAnswer(name string) bool {
	if name == "" || slices.Contains(forOneConnection, name) || slices.Contains(notForAnswers, name) {
		return false
	}
	return !slices.ContainsFunc(notForAnswersPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

var notForAnswers = []string{
	// Headers that frame the body, and those in pipe.Head.
	"content-disposition", "content-encoding", "content-language", "content-length", "content-type", "date",
	"proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
	// Headers for caches.
	"age", "cache-control", "expires", "pragma",
	// Headers that a browser stores or applies for this server's origin.
	"accept-ch", "alt-svc", "clear-site-data", "content-security-policy", "content-security-policy-report-only", "critical-ch",
	"expect-ct", "nel", "public-key-pins", "public-key-pins-report-only", "report-to", "reporting-endpoints", "service-worker-allowed",
	"set-cookie", "set-cookie2", "set-login", "strict-transport-security", "x-content-type-options", "x-robots-tag",
	// Commands to proxies.
	"x-sendfile",
}

var notForAnswersPrefixes = []string{"access-control-", "fly-", "httpipe-", "surrogate-", "x-accel-", "x-litespeed-", "x-reproxy-"}
