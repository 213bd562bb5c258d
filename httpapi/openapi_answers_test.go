package httpapi

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"httpipe/audit"
	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/web"
)

// TestOpenAPIAnswers compares the document with the server's answers: each documented status of each operation is
// requested, with and without Accept: application/json, and its headers and its body are as documented.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	d := newDescription(t)
	d.refusals()
	d.failures()
	d.endings()
	d.serviceEndings()
	d.topicEndings()
	d.successes()
	d.nodes()
	for id, o := range d.operations {
		for status := range o.Responses.Codes.KeysFromOldest() {
			if !d.seen[id+" "+status] {
				t.Errorf("%s: no request of this test is answered with %s", id, status)
			}
		}
	}
}

const acceptJSON = "Accept: application/json"

// A description is the document, and which of its answers the server has given.
type description struct {
	t          *testing.T
	validator  validator.Validator
	operations map[string]operation // by operation id
	seen       map[string]bool      // operation id and status
}

// An operation is an operation and its place in the document.
type operation struct {
	method, path string
	*v3.Operation
}

func newDescription(t *testing.T) *description {
	t.Helper()
	document, err := libopenapi.NewDocument([]byte(web.OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	d := &description{t: t, validator: v, operations: map[string]operation{}, seen: map[string]bool{}}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, o := range item.GetOperations().FromOldest() {
			if d.operations[o.OperationId].Operation != nil || len(o.Tags) != 1 || o.Summary == "" {
				t.Errorf("%s %s needs an id of its own (it has %q), one tag and a summary", method, path, o.OperationId)
			}
			d.operations[o.OperationId] = operation{strings.ToUpper(method), path, o}
		}
	}
	return d
}

// documented returns the ids of the operations that can be answered with status, sorted.
func (d *description) documented(status string) []string {
	ids := slices.Sorted(maps.Keys(d.operations))
	return slices.DeleteFunc(ids, func(id string) bool { return d.operations[id].Responses.Codes.GetOrZero(status) == nil })
}

// fill returns the operation's path with values for its parameters, which replace can give: a name, its value, and so on.
func (o operation) fill(replace ...string) string {
	return strings.NewReplacer(append(replace, "{namespace}", "n", "{channel}", "c", "{service}", "c", "{topic}", "c", "{file}", "page.css", "{node}", "n1", "{id}", uuid.NewString())...).Replace(o.path)
}

// ask sends the operation's request, with an empty body, and returns its answer.
func (o operation) ask(r *testServer, query string, headers []string, replace ...string) *answer {
	if o.method == "POST" || o.method == "PUT" {
		headers = append(slices.Clone(headers), length(0))
	}
	return r.dial().Request(o.method, o.fill(replace...)+query, headers...).Answer()
}

// fits checks that a is an answer that the operation documents. Unless asked is empty, the request accepted this type.
func (d *description) fits(id string, a *answer, asked string) {
	d.t.Helper()
	status := strconv.Itoa(a.StatusCode)
	what := id + " " + status
	documented := d.operations[id].Responses.Codes.GetOrZero(status)
	if documented == nil {
		d.t.Errorf("%s (%q) is not documented", what, a.Text)
		return
	}
	d.seen[what] = true
	d.fitsHeaders(what, a, documented)
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if documented.Content == nil {
		if asked == "" || a.Request.Method == http.MethodHead || a.StatusCode == http.StatusNoContent {
			if a.Text != "" {
				d.t.Errorf("%s: the body is %q, want none", what, a.Text)
			}
			return
		}
		var into any = &reply.Problem{}
		if a.StatusCode == http.StatusOK {
			into = &reply.Receipt{}
			if strings.HasPrefix(id, "publish") {
				into = &reply.PublicationReceipt{}
			}
		}
		decoder := json.NewDecoder(strings.NewReader(a.Text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil || !strings.HasSuffix(kind, "json") {
			d.t.Errorf("%s: with %s the body is %q (%s): %v", what, asked, a.Text, kind, err)
		}
		return
	}
	want := documented.Content.First().Key()
	switch {
	case asked == "application/json" && a.StatusCode >= 400:
		want = "application/problem+json"
	case asked != "" && documented.Content.GetOrZero(asked) != nil:
		want = asked
	}
	if kind != want {
		d.t.Errorf("%s: the type is %s, want %s", what, kind, want)
	}
	if kind == string(audit.NDJSON) {
		return // the validator takes all lines for one value
	}
	a.Response.Body = io.NopCloser(strings.NewReader(a.Text))
	request, err := http.NewRequest(d.operations[id].method, "http://relay"+d.operations[id].fill(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if ok, errs := d.validator.ValidateHttpResponse(request, a.Response); !ok {
		for _, err := range errs {
			d.t.Errorf("%s: %s: %s %v", what, err.Message, err.Reason, err.SchemaValidationErrors)
		}
	}
}

// fitsHeaders checks that a has the required headers, and no others of ours than those that are documented.
func (d *description) fitsHeaders(what string, a *answer, documented *v3.Response) {
	d.t.Helper()
	known := http.Header{}
	for name, header := range documented.Headers.FromOldest() {
		known.Set(name, "")
		value := a.Header.Get(name)
		if value == "" && header.Required {
			d.t.Errorf("%s: there is no %s", what, name)
		}
		var allowed []string
		for _, node := range header.Schema.Schema().Enum {
			allowed = append(allowed, node.Value)
		}
		if value != "" && len(allowed) > 0 && !slices.Contains(allowed, value) {
			d.t.Errorf("%s: %s is %q, want one of %q", what, name, value, allowed)
		}
	}
	for name := range a.Header {
		ours := strings.HasPrefix(name, "Httpipe-") || slices.Contains([]string{"Retry-After", "Www-Authenticate", "Content-Disposition"}, name)
		if _, ok := known[name]; ours && !ok {
			d.t.Errorf("%s: %s is not documented", what, name)
		}
	}
}

// all requests each operation that documents the status, which is what it must answer.
func (d *description) all(r *testServer, status, query string, headers []string, replace ...string) {
	d.t.Helper()
	for _, id := range d.documented(status) {
		if id == "getNodeHealth" {
			continue // see nodes
		}
		a := d.operations[id].ask(r, query, headers, replace...)
		if got := strconv.Itoa(a.StatusCode); got != status {
			d.t.Errorf("%s: the answer is %s, want %s", id, got, status)
		}
		d.fits(id, a, "")
		d.fits(id, d.operations[id].ask(r, query, append(slices.Clone(headers), acceptJSON), replace...), "application/json")
	}
}

// refusals are the answers to requests that may not or cannot be served.
func (d *description) refusals() {
	d.t.Helper()
	me, guard := bearer(secret), guarded(d.t)
	audited := startAudited(d.t, guard, func(c *Config) { c.RequireHTTPS = true })
	d.all(audited.testServer, "401", "", nil)
	d.all(audited.testServer, "403", "", []string{me, "X-Forwarded-Proto: http"})
	for _, id := range d.documented("401") {
		d.fits(id, d.operations[id].ask(audited.testServer, "", []string{bearer(sign(d.t, secret, "delete:other/*"))}).Is(403), "")
	}
	d.all(audited.testServer, "400", "?limit=x", []string{me}, "{namespace}", "%6e")
	d.all(start(d.t, guard), "404", "", []string{me}, "{file}", "nothing.css") // it has no audit log

	limited := start(d.t, guard, func(c *Config) { c.RatePerClient = 1 })
	limited.dial().Get("/state", me).Answer()
	d.all(limited, "429", "", []string{me})
}

// failures are the answers of a server that cannot serve.
func (d *description) failures() {
	d.t.Helper()
	me := []string{bearer(secret)}
	r := startAudited(d.t, guarded(d.t))
	r.live.stop()
	r.fail()
	d.all(r.testServer, "503", "", me)
	r.recover()
	r.Journal.Forgive("the audit log cannot be read")
}

// endings are the answers that a channel's two sides get.
func (d *description) endings() {
	d.t.Helper()
	r := start(d.t, maxBody(64<<20), stallAfter(300*time.Millisecond))
	for _, accept := range []string{"", "application/json"} {
		headers := []string{"Accept: " + accept}
		consume := func() *client { return r.dial().Get(here, headers...) }
		deleted := func() { r.dial().Request("DELETE", here).Answer().Is(204) }

		d.fits("consume", r.dial().Get(here+"?wait=0", headers...).Answer().Is(408), accept)
		c := consume()
		r.Waiting(0, 1)
		deleted()
		d.fits("consume", c.Answer().Is(410), accept)

		for _, id := range []string{"produce", "producePut"} {
			produce := func(query string, n int) *client {
				return r.dial().Request(d.operations[id].method, here+query, append(slices.Clone(headers), length(n))...)
			}
			d.fits(id, produce("?wait=0", 0).Answer().Is(408), accept)
			d.fits(id, produce("", 65<<20).Answer().Is(413), accept)
			old := r.dial().Say(d.operations[id].method + " " + here + " HTTP/1.0\r\n" + headers[0] + "\r\n\r\n")
			d.fits(id, old.Answer().Is(411), accept)

			p := produce("", 5).Say("hello")
			r.Waiting(1, 0)
			deleted()
			d.fits(id, p.Answer().Is(410), accept)

			p = produce("", 5).Say("hello")
			message := consume()
			d.fits("consume", message.Answer().Is(200), "")
			d.fits(id, p.Answer().Is(200), accept)

			for _, status := range []int{502, 504} {
				p = produce("", 50<<20)
				go io.Copy(p, io.LimitReader(zeros{}, 50<<20))
				c = consume()
				c.Head()
				if status == 502 {
					c.Reset()
				}
				d.fits(id, p.Answer().Is(status), accept)
			}
		}
	}
}

// serviceEndings are the answers that workers get.
func (d *description) serviceEndings() {
	d.t.Helper()
	r := start(d.t, maxBody(64<<20), stallAfter(300*time.Millisecond))
	const service, work = "/services/n/c", "/work/n/c"
	for _, accept := range []string{"", "application/json"} {
		headers := []string{"Accept: " + accept}
		d.fits("work", r.dial().Get(work+"?wait=0", headers...).Answer().Is(408), accept)
		w := r.dial().Get(work, headers...)
		eventually(d.t, patience, "a worker waits", func() bool { _, workers, _ := r.broker.LookService(keyHere); return workers == 1 })
		r.dial().Request("DELETE", work).Answer().Is(204)
		d.fits("work", w.Answer().Is(410), accept)
		for _, id := range []string{"answer", "answerPut"} {
			take := func() (caller *client, replyTo string) {
				caller = r.dial().Get(service)
				a := r.dial().Get(work, headers...).Answer().Is(200)
				d.fits("work", a, "")
				return caller, a.Header.Get(reply.HeaderReply)
			}
			answer := func(replyTo string, n int) *client {
				return r.dial().Request(d.operations[id].method, replyTo, append(slices.Clone(headers), length(n))...)
			}
			_, replyTo := take()
			d.fits(id, answer(replyTo, 65<<20).Answer().Is(413), accept)
			old := r.dial().Say(d.operations[id].method + " " + replyTo + " HTTP/1.0\r\n" + headers[0] + "\r\n\r\n")
			d.fits(id, old.Answer().Is(411), accept)
			d.fits(id, answer(replyTo, 5).Say("hello").Answer().Is(200), accept)
			d.fits(id, answer(replyTo, 5).Say("hello").Answer().Is(404), accept)

			c, replyTo := take()
			a := answer(replyTo, 10).Say("hello")
			c.Head()
			r.dial().Request("DELETE", work).Answer().Is(204)
			d.fits(id, a.Answer().Is(410), accept)

			for _, status := range []int{502, 504} {
				c, replyTo := take()
				a := answer(replyTo, 50<<20)
				go io.Copy(a, io.LimitReader(zeros{}, 50<<20))
				c.Head()
				if status == 502 {
					c.Reset()
				}
				d.fits(id, a.Answer().Is(status), accept)
			}
		}
	}
}

// successes are the answers to all that can be asked, while some of each kind is on record or under way.
func (d *description) successes() {
	d.t.Helper()
	r := startAudited(d.t, guarded(d.t, "produce:*/*", "consume:*/*"))
	me := bearer(secret)
	done := r.deliver(here, "hello")
	r.dial().Get(here + "?wait=0").Answer().Is(408)
	r.rows(1, "SELECT id FROM requests")
	r.onRecord()
	r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	r.rows(1, "SELECT id FROM exchanges WHERE shape = 'channel' AND outcome = '"+string(pipe.Delivered)+"'")
	running := r.rows(1, "SELECT id FROM exchanges WHERE outcome = 'open'")[0]
	for _, id := range append(d.documented("200"), d.documented("204")...) {
		o := d.operations[id]
		switch id {
		case "produce", "producePut", "consume", "work", "answer", "answerPut",
			"publish", "publishPut", "subscribe", "lookAtTopic", "deleteTopic", "getNodeHealth": // see endings, serviceEndings, topicEndings and nodes
		case "lookAtService":
			c := r.dial().Get("/services/n/c")
			eventually(d.t, patience, "a caller waits", func() bool { _, _, exists := r.broker.LookService(keyHere); return exists })
			d.fits(id, o.ask(r.testServer, "", []string{me}).Is(200), "")
			c.Close()
		case "getCall", "getPublication", "getSubscription", "getRequest":
			row := r.rows(1, "SELECT id FROM "+strings.ToLower(strings.TrimPrefix(id, "get"))+"s")[0]
			for kind := range o.Responses.Codes.GetOrZero("200").Content.KeysFromOldest() {
				d.fits(id, o.ask(r.testServer, "", []string{me, "Accept: " + kind}, "{id}", row).Is(200), kind)
			}
		case "watchLive":
			c := r.dial().Request(o.method, o.path, me)
			response := c.Head()
			event := make([]byte, 6)
			io.ReadFull(response.Body, event)
			d.fits(id, &answer{Response: response, Text: string(event)}, "")
			c.Close()
		case "getAsset":
			for file, kind := range map[string]string{"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"} {
				d.fits(id, o.ask(r.testServer, "", nil, "{file}", file).Is(200), kind)
			}
		case "deleteService":
			c := r.dial().Get("/services/gone/c")
			eventually(d.t, patience, "a caller waits", func() bool {
				_, _, exists := r.broker.LookService(pipe.Key{Namespace: "gone", Channel: "c"})
				return exists
			})
			d.fits(id, o.ask(r.testServer, "", []string{me}, "{namespace}", "gone").Is(204), "")
			c.Answer().Is(410)
		case "deleteChannel", "deleteNamespace":
			c := r.dial().Get("/channels/gone/c")
			eventually(d.t, patience, "a consumer waits", func() bool { return len(r.broker.Channels("gone")) == 1 })
			d.fits(id, o.ask(r.testServer, "", []string{me}, "{namespace}", "gone").Is(204), "")
			c.Answer().Is(410)
		default:
			for _, exchange := range []string{done, running} {
				d.fits(id, o.ask(r.testServer, "", []string{me}, "{id}", exchange).Is(200), "")
			}
			for kind := range o.Responses.Codes.GetOrZero("200").Content.KeysFromOldest() {
				d.fits(id, o.ask(r.testServer, "", []string{me, "Accept: " + kind}, "{id}", done).Is(200), kind)
			}
		}
	}
}
