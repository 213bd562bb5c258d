package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzHead: what Parse takes, http.ReadRequest reads the same; what it refuses or leaves to net/http, and only that, is
// so by the rules of the package's documentation, which classify holds in another form; and the pieces in which the
// bytes come change nothing.
func FuzzHead(f *testing.F) {
	for _, test := range headCases {
		f.Add([]byte(test.head), len(test.head)/2)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		head, n, err := parse(data)
		if got, want := classOfError(err), classify(data); got != want {
			t.Fatalf("%.300q is %s (%v); by the rules it is %s", data, got, err, want)
		}
		if err == nil {
			agree(t, data, head, n)
		}
		if cut < 0 || cut > len(data) {
			return
		}
		p := Parser{MaxHead: testMaxHead}
		var pieces Head
		for _, end := range []int{cut, cut + (len(data)-cut)/2, len(data)} {
			n2, err2 := p.Parse(data[:end:end], &pieces)
			if err2 == ErrIncomplete && end < len(data) {
				continue
			}
			if n2 != n || err2 != err || !reflect.DeepEqual(pieces, head) {
				t.Fatalf("%.300q in pieces is %d, %v, %+v; at once %d, %v, %+v", data, n2, err2, pieces, n, err, head)
			}
			break
		}
	})
}

func classOfError(err error) string {
	switch err {
	case nil:
		return "taken"
	case ErrIncomplete:
		return "incomplete"
	case ErrNotPlain:
		return "not plain"
	}
	return "refused"
}

// The rules of the package's documentation as expressions, for classify.
var (
	requestLineRule = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ \\x00-\\x08\\x0a-\\x1f\\x7f]+) HTTP/([0-9]\\.[0-9])\r\n$")
	fieldRule       = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \\t]*([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)\r\n$")
	methodRule      = regexp.MustCompile(`^(GET|POST|PUT|DELETE|HEAD)$`)
	targetRule      = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?$`)
	hostRule        = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*$`)
	lengthRule      = regexp.MustCompile(`^[0-9]{1,18}$`)
)

// classify says what Parse has to make of data, in the simplest way.
func classify(data []byte) string {
	lines := strings.SplitAfter(string(data), "\n")
	size := 0
	for range 2 {
		if lines[0] == "\r\n" {
			size += 2
			lines = lines[1:]
		}
	}
	var method, target, version string
	notPlain := false
	fields := make(map[string][]string)
	count := 0
	for i, line := range lines {
		if !strings.HasSuffix(line, "\n") { // the last
			if len(data) >= testMaxHead {
				return "refused"
			}
			return "incomplete"
		}
		if size += len(line); size > testMaxHead {
			return "refused"
		}
		if i == 0 {
			m := requestLineRule.FindStringSubmatch(line)
			if m == nil {
				return "refused"
			}
			method, target, version = m[1], m[2], m[3]
			notPlain = !methodRule.MatchString(method) || !targetRule.MatchString(target) || version != "1.1" && version != "1.0"
			continue
		}
		if line == "\r\n" {
			break
		}
		m := fieldRule.FindStringSubmatch(line)
		if count++; m == nil || count > maxFields {
			return "refused"
		}
		name := strings.ToLower(m[1])
		fields[name] = append(fields[name], strings.TrimRight(m[2], " \t"))
		if refusedField(fields) {
			return "refused"
		}
	}
	one := func(name, want string) bool {
		return len(fields[name]) == 0 || len(fields[name]) == 1 && strings.ToLower(fields[name][0]) == want
	}
	chunked := len(fields["transfer-encoding"]) > 0
	switch {
	case version == "1.1" && len(fields["host"]) == 0,
		chunked && len(fields["content-length"]) > 0,
		chunked && version == "1.0", !readable(method, target):
		return "refused"
	case notPlain, !one("connection", "close") && !one("connection", "keep-alive"), !one("expect", "100-continue"),
		fields["upgrade"] != nil, fields["trailer"] != nil:
		return "not plain"
	}
	return "taken"
}

// readable reports whether net/http reads a target.
func readable(method, target string) bool {
	_, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
	return err == nil
}

// refusedField reports whether fields refuse a head before it is complete.
func refusedField(fields map[string][]string) bool {
	bad := func(name string, ok func(string) bool) bool {
		return len(fields[name]) > 1 || len(fields[name]) == 1 && !ok(fields[name][0])
	}
	return bad("host", hostRule.MatchString) || bad("content-length", lengthRule.MatchString) ||
		bad("transfer-encoding", func(value string) bool { return strings.ToUpper(value) == "CHUNKED" })
}

// agree checks that http.ReadRequest reads the head at the beginning of data, of n bytes, as Parse did.
func agree(t *testing.T, data []byte, head Head, n int) {
	t.Helper()
	all := bytes.NewReader(data[skipped(data):])
	buffered := bufio.NewReaderSize(all, testMaxHead)
	r, err := http.ReadRequest(buffered)
	if err != nil {
		t.Fatalf("%.300q is taken, but http.ReadRequest says %v", data, err)
	}
	for _, same := range []struct {
		what       string
		ours, http any
	}{
		{"method", head.Method, r.Method},
		{"target", head.Target, r.RequestURI},
		{"path", head.Path, r.URL.EscapedPath()},
		{"decoded path", head.Path, r.URL.Path},
		{"query", head.Query, r.URL.RawQuery},
		{"version", fmt.Sprintf("HTTP/1.%d", head.Minor), r.Proto},
		{"host", head.Host, r.Host},
		{"length", head.BodyLength(), r.ContentLength},
		{"chunked", head.Chunked, slices.Equal(r.TransferEncoding, []string{"chunked"})},
		{"close", head.Close, r.Close},
		{"expectation", head.ExpectContinue, r.ProtoAtLeast(1, 1) && r.ContentLength != 0 && strings.ToLower(r.Header.Get("Expect")) == "100-continue"},
		{"end", len(data) - n, all.Len() + buffered.Buffered()},
	} {
		if same.ours != same.http {
			t.Errorf("%.300q: %s is %v, and for http.ReadRequest %v", data, same.what, same.ours, same.http)
		}
	}
	fields := make(http.Header)
	for _, f := range head.Fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if name != "Host" && name != "Transfer-Encoding" { // ReadRequest takes these out
			fields[name] = append(fields[name], f.Value)
		}
	}
	if !maps.EqualFunc(fields, r.Header, slices.Equal) && !pragma(fields, r.Header) {
		t.Errorf("%.300q: the fields are %.300q, and for http.ReadRequest %.300q", data, fields, r.Header)
	}
}

// skipped returns how many bytes of empty lines data begins with; http.Server skips them, but http.ReadRequest does not.
func skipped(data []byte) int {
	return len(data) - len(bytes.TrimPrefix(bytes.TrimPrefix(data, []byte("\r\n")), []byte("\r\n")))
}

// pragma reports whether ours and theirs differ only in that ReadRequest adds a Cache-Control for a Pragma of old.
func pragma(ours, theirs http.Header) bool {
	theirs = theirs.Clone()
	if p := ours["Pragma"]; len(p) > 0 && p[0] == "no-cache" && ours["Cache-Control"] == nil {
		delete(theirs, "Cache-Control")
	}
	return maps.EqualFunc(ours, theirs, slices.Equal)
}
