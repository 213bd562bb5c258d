package http1

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parse parses data with a new Parser.
func parse(data []byte) (head Head, n int, err error) {
	p := Parser{MaxHead: testMaxHead}
	n, err = p.Parse(data, &head)
	return head, n, err
}

func TestParse(t *testing.T) {
	for _, test := range headCases {
		t.Run(test.name, func(t *testing.T) {
			head, n, err := parse([]byte(test.head))
			if err != test.err {
				t.Fatalf("%.200q: %v; want %v", test.head, err, test.err)
			}
			if refusal, ok := errors.AsType[*Error](err); ok && refusal.Status != 400 && refusal.Status != 431 {
				t.Errorf("status %d", refusal.Status)
			}
			if err == nil {
				agree(t, []byte(test.head), head, n)
			} else if len(head.Fields) > 0 || head.Method != "" {
				t.Errorf("%v, but the head is filled: %+v", err, head)
			}
		})
	}
}

// TestParsePieces: a head that comes in two pieces, cut anywhere and moved between the calls, is what it is at once.
func TestParsePieces(t *testing.T) {
	for _, test := range headCases {
		whole, n, want := parse([]byte(test.head))
		for cut := range len(test.head) {
			p := Parser{MaxHead: testMaxHead}
			var head Head
			got, err := p.Parse([]byte(test.head[:cut]), &head)
			if err == ErrIncomplete {
				got, err = p.Parse([]byte(test.head), &head)
			}
			if err != want || got != n || fmt.Sprint(head) != fmt.Sprint(whole) {
				t.Fatalf("%s, cut at %d: %d, %v; want %d, %v", test.name, cut, got, err, n, want)
			}
			if want != ErrIncomplete && p.progress != (progress{}) {
				t.Fatalf("%s, cut at %d: the Parser is not ready for the next head: %+v", test.name, cut, p.progress)
			}
		}
	}
}

// TestParseRefusesEarly: a malformed line is refused when it is complete, not when the head is.
func TestParseRefusesEarly(t *testing.T) {
	for _, test := range []headCase{
		{"a bare LF", "GET /a HTTP/1.1\n", errBareLF},
		{"no request", "SSH-2.0-OpenSSH_10.0\r\n", errRequestLine},
		{"a blank before the colon", "GET /a HTTP/1.1\r\nHost : x\r\n", errBlank},
		{"two lengths", "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", errLengths},
	} {
		if _, _, err := parse([]byte(test.head)); err != test.err {
			t.Errorf("%s: %v; want %v", test.name, err, test.err)
		}
	}
}

func TestHead(t *testing.T) {
	const text = "\r\nPOST /channels/a/b?wait=1s?x HTTP/1.1\r\nhost: x:80\r\nAccept: a\r\nX-Empty:\r\n" +
		"aCCept:  b, c \r\nContent-Length: 007\r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n"
	data := []byte(text + "1234567GET /next")
	head, n, err := parse(data)
	clear(data) // the caller reuses its buffer
	if err != nil || n != len(text) {
		t.Fatalf("%d, %v; want %d", n, err, len(text))
	}
	for _, test := range []struct{ name, got, want string }{
		{"Method", head.Method, "POST"},
		{"Target", head.Target, "/channels/a/b?wait=1s?x"},
		{"Path", head.Path, "/channels/a/b"},
		{"Query", head.Query, "wait=1s?x"},
		{"Host", head.Host, "x:80"},
		{"Get", head.Get("ACCEPT"), "a"},
		{"Get of none", head.Get("Accep"), ""},
		{"Values", strings.Join(slices.Collect(head.Values("accept")), "|"), "a|b, c"},
		{"Fields", fmt.Sprint(head.Fields), "[{host x:80} {Accept a} {X-Empty } {aCCept b, c} {Content-Length 007} {Expect 100-Continue} {Connection close}]"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %q; want %q", test.name, test.got, test.want)
		}
	}
	if _, ok := head.Lookup("x-empty"); !ok {
		t.Error("an empty field is not found")
	}
	if _, ok := head.Lookup("x-none"); ok {
		t.Error("a field is found that is not there")
	}
	if head.Minor != 1 || head.ContentLength != 7 || head.BodyLength() != 7 || head.Chunked || !head.Close || !head.ExpectContinue {
		t.Errorf("%+v", head)
	}
	for range head.Values("accept") {
		break // an early end must not panic
	}
}

func TestFraming(t *testing.T) {
	for _, test := range []struct {
		head           string
		length         int64
		chunked, close bool
		expects        bool
	}{
		{"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", -1, false, false, false},
		{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", 0, false, false, false},
		{"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", -1, true, false, true},
		{"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", -1, false, false, false},
		{"POST /a HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 5, false, true, false},
		{"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", -1, false, false, false},
		{"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", -1, false, true, false},
	} {
		h, _, err := parse([]byte(test.head))
		if err != nil || h.ContentLength != test.length || h.Chunked != test.chunked || h.Close != test.close || h.ExpectContinue != test.expects {
			t.Errorf("%q: %+v, %v; want %+v", test.head, h, err, test)
		}
	}
}

// TestPipelined: one Parser and one Head read requests behind one another, and no head keeps anything of the last.
func TestPipelined(t *testing.T) {
	many := wrap("Content-Length: 0\r\nConnection: close\r\nExpect: 100-continue\r\n" + strings.Repeat("A: b\r\n", 200))
	data := []byte(many + "\r\nGET /b HTTP/1.0\r\n\r\n" + "HEAD /c HTTP/1.1\r\nHost: y\r\nA: c\r\n\r\n")
	p := Parser{MaxHead: testMaxHead}
	var head Head
	for _, want := range []string{"GET /a x 204", "GET /b  0", "HEAD /c y 2"} {
		n, err := p.Parse(data, &head)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(head.Method, " ", head.Target, " ", head.Host, " ", len(head.Fields)); got != want {
			t.Errorf("%s; want %s", got, want)
		}
		data = data[n:]
	}
	if len(data) > 0 || head.ContentLength != -1 || head.Close || head.ExpectContinue || cap(head.Fields) > maxKept {
		t.Errorf("%d bytes are left; the last head is %+v, with room for %d fields", len(data), head, cap(head.Fields))
	}
}

// TestParseDropsOldFields: a Head that is reused keeps no text of the head before.
func TestParseDropsOldFields(t *testing.T) {
	p := Parser{MaxHead: testMaxHead}
	var head Head
	for _, text := range []string{wrap(strings.Repeat("A: b\r\n", 9)), wrap("")} {
		if _, err := p.Parse([]byte(text), &head); err != nil {
			t.Fatal(err)
		}
	}
	if cap(head.Fields) != 10 || head.Fields[:10][9] != (Field{}) {
		t.Errorf("a Head of one field keeps %q", head.Fields[:cap(head.Fields)])
	}
}

func TestNotPlainStart(t *testing.T) {
	if _, n, err := parse([]byte("\r\nOPTIONS /a HTTP/1.1\r\nHost: x\r\n\r\n")); n != 2 || err != ErrNotPlain {
		t.Errorf("%d, %v; the request for net/http begins behind the empty line, at 2", n, err)
	}
}
