package relay

import (
	"slices"
	"strconv"
	"strings"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// A consumer that asks with ?headers gets the head of the producer's request too, as headers of its response. A waiting
// producer keeps its header lines as they were sent, which costs little: its User-Agent, kept for the log, is a part of the
// same string. They are parsed when a consumer asks for them.

// maxFields is how many headers of a request a response carries. HAProxy refuses a response with more than 101 headers,
// including those that the server and proxies add.
const maxFields = 64

// head returns the head of r for a consumer.
func (r *Request) head() pipe.RequestHead {
	return pipe.RequestHead{
		Method: r.Method,
		Query:  withoutParameter(r.Query, "wait"),
		Fields: r.fieldLines(),
	}
}

// fieldLines returns the header lines of r.
func (r *Request) fieldLines() string {
	if r.lines != "" {
		return r.lines
	}
	b := http1.AppendField(nil, "Host", r.Host)
	for _, f := range r.Header.Fields {
		b = http1.AppendField(b, f.Name, f.Value)
	}
	return string(b)
}

// requestFields returns what head says of a producer's request as fields of the response, in at most room bytes. proxyHeader
// is another header that a proxy in front sets.
func requestFields(head *pipe.Head, room int, proxyHeader string) (fields []reply.Field) {
	h, rare, omitted := &head.Request, head.Rare(), 0
	must := func(name, value string) {
		room -= len(name) + len(": ") + len(value) + len("\r\n")
		fields = append(fields, reply.Field{Name: name, Value: value})
	}
	add := func(name, value string) {
		if len(fields) == maxFields || len(name)+len(": ")+len(value)+len("\r\n") > room {
			omitted++
			return
		}
		must(name, value)
	}
	must(reply.HeaderMethod, h.Method)
	switch {
	case rare.Target != "":
		must(reply.HeaderTarget, rare.Target)
	case h.Query != "":
		must(reply.HeaderQuery, h.Query)
	}
	hidden := append(connectionOptions(h.Fields), strings.ToLower(proxyHeader))
	for f := range http1.EachField(h.Fields) {
		if name := strings.ToLower(f.Name); passes(name) && !slices.Contains(hidden, name) {
			add(reply.HeaderPrefix+f.Name, f.Value)
		}
	}
	for _, value := range rare.Authorization {
		add(reply.HeaderPrefix+"Authorization", value)
	}
	if omitted > 0 {
		fields = append(fields, reply.Field{Name: reply.HeaderOmitted, Value: strconv.Itoa(omitted)})
	}
	return fields
}

// expose lets a page of another origin read the fields, if it may read the response.
func (p *Pending) expose(fields []reply.Field) {
	for i := range p.fields {
		if f := &p.fields[i]; f.Name == "Access-Control-Expose-Headers" {
			for _, exposed := range fields {
				f.Value += ", " + exposed.Name
			}
		}
	}
}

// connectionOptions returns the names, in lower case, that the Connection fields of lines list: of headers that are for one
// connection only (RFC 9110 7.6.1).
func connectionOptions(lines string) (names []string) {
	for f := range http1.EachField(lines) {
		if strings.EqualFold(f.Name, "Connection") {
			for option := range strings.SplitSeq(f.Value, ",") {
				names = append(names, strings.ToLower(strings.TrimSpace(option)))
			}
		}
	}
	return names
}

// passes reports whether a consumer may see the header of that name, which is in lower case.
func passes(name string) bool {
	if slices.Contains(forOneConnection, name) || slices.Contains(credentialHeaders, name) || slices.Contains(ofProxies, name) {
		return false
	}
	return !strings.HasPrefix(name, "httpipe-") && !strings.HasPrefix(name, "x-forwarded-") && !strings.HasPrefix(name, "fly-")
}

// forOneConnection are the headers for one connection, or for the next server only.
var forOneConnection = []string{"connection", "expect", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// credentialHeaders are not passed on as they are: Authorization may hold a credential of this server (see
// Request.ForeignAuthorization), and cookies are of its origin.
var credentialHeaders = []string{"authorization", "cookie", "cookie2", "proxy-authorization"}

// ofProxies are the headers in which proxies say where a request came from, besides X-Forwarded-* and Fly-*.
var ofProxies = []string{"cdn-loop", "cf-connecting-ip", "cf-connecting-ipv6", "cf-ew-via", "cf-ipcountry", "cf-pseudo-ipv4", "cf-ray", "cf-visitor",
	"cf-worker", "client-ip", "fastly-client-ip", "forwarded", "true-client-ip", "via", "x-amzn-trace-id", "x-client-ip", "x-cluster-client-ip",
	"x-original-forwarded-for", "x-real-ip"}
