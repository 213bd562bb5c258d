package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"httpipe/nodes"
	"httpipe/pipe"
)

// A fakeOwner is a node that answers probes as the test says.
type fakeOwner struct {
	*httptest.Server
	status atomic.Int32
	name   atomic.Pointer[string]
}

func startOwner(t *testing.T, name string) *fakeOwner {
	t.Helper()
	o := new(fakeOwner)
	o.status.Store(http.StatusOK)
	o.name.Store(&name)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != nodes.HealthPath+name {
			t.Errorf("a probe of %s", r.URL.Path)
		}
		w.Header().Set(nodes.HeaderNode, *o.name.Load())
		w.WriteHeader(int(o.status.Load()))
	}))
	t.Cleanup(o.Close)
	return o
}

// startNode runs the server as n1, beside the owner n2 and a node n3 that does not run.
func startNode(t *testing.T) (r *testServer, owner *fakeOwner) {
	t.Helper()
	owner = startOwner(t, "n2")
	return start(t, asFirst(t, owner)), owner
}

// asFirst makes a server the node n1 of tableOf(owner).
func asFirst(t *testing.T, owner *fakeOwner) func(*Config) {
	t.Helper()
	member, err := nodes.NewMember("n1", tableOf(t, owner), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Nodes = member }
}

func tableOf(t *testing.T, owner *fakeOwner) *nodes.Table {
	t.Helper()
	table, err := nodes.New([]nodes.Node{{Name: "n1", URL: "http://127.0.0.1:1"}, {Name: "n2", URL: owner.URL}, {Name: "n3", URL: "http://127.0.0.1:2"}}, 60)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// nameIn returns a channel of the namespace n whose slot has that owner and stand-in.
func nameIn(t *testing.T, table *nodes.Table, owner, standIn string) string {
	t.Helper()
	for i := range 10_000 {
		name := fmt.Sprint("c", i)
		if table.Of("n", name) == (nodes.Slot{Owner: owner, StandIn: standIn}) {
			return name
		}
	}
	t.Fatalf("no name belongs to %s and %s", owner, standIn)
	return ""
}

// TestMisdirected: a node refuses what other nodes serve, on the relay path and elsewhere, and names the owner, but not
// its address, which a client without a token must not learn.
func TestMisdirected(t *testing.T) {
	t.Parallel()
	r, owner := startNode(t)
	table := r.config.Nodes.Table()
	own, behind, foreign := nameIn(t, table, "n1", "n2"), nameIn(t, table, "n2", "n1"), nameIn(t, table, "n2", "n3")
	for _, name := range []string{behind, foreign} {
		for _, path := range []string{"/channels/n/" + name, "/topics/n/" + name, "/services/n/" + name + "/x", "/work/n/" + name, "/work/n/" + name + "/"} {
			a := r.dial().Get(path).Answer().Failed(421, "misdirected")
			if want := "node n1 does not serve n/" + name + "; its owner is node n2"; !strings.Contains(a.Text, want) || strings.Contains(a.Text, owner.URL) {
				t.Errorf("%s: %q, want %s, and not its address", path, a.Text, want)
			}
		}
		r.dial().Post("/channels/n/"+name, "body").Answer().Failed(421, "misdirected")
		r.dial().Post("/work/n/"+name+"/0123", "body").Answer().Failed(421, "misdirected")
		r.dial().Request("HEAD", "/channels/n/"+name, "").Answer().Is(421)
		r.dial().Request("DELETE", "/channels/n/"+name, "").Answer().Failed(421, "misdirected")
		r.dial().Request("GET", "http://relay/channels/n/"+name, "").Answer().Failed(421, "misdirected") // which net/http reads
		stream := r.dial().Get("/topics/n/"+name, "Accept: text/event-stream").Answer().Is(200)
		if stream.Text != "retry: 1000\n\n" {
			t.Errorf("an EventSource gets %q", stream.Text)
		}
	}
	consumer := r.dial().Get("/channels/n/"+own, "Httpipe-Owner: n1", "Httpipe-Stand-In: n2")
	r.dial().Post("/channels/n/"+own, "hello").Answer().Is(200)
	if a := consumer.Answer().Is(200); a.Text != "hello" {
		t.Errorf("the consumer got %q", a.Text)
	}
	r.dial().Get("/channels/n", "Httpipe-Scope: node").Answer().Failed(404, "not_found")
	for _, header := range []string{"Httpipe-Owner: n2", "Httpipe-Stand-In: n3", "Httpipe-Owner: n1, n1"} {
		a := r.dial().Get("/channels/n/"+own, header).Answer().Failed(421, "misdirected")
		if !strings.Contains(a.Text, "the balancer has another table") {
			t.Errorf("%s: %q", header, a.Text)
		}
	}
}

// TestStandIn: a node serves for an owner only while its own probes of the owner fail, or the owner drains.
func TestStandIn(t *testing.T) {
	t.Parallel()
	r, owner := startNode(t)
	table := r.config.Nodes.Table()
	key := pipe.Key{Namespace: "n", Channel: nameIn(t, table, "n2", "n1")}
	here := "/channels/" + key.String()
	foreign := "/channels/n/" + nameIn(t, table, "n2", "n3")
	stranger, name := "n7", "n2"
	for _, away := range []struct {
		what   string
		status int32
		name   *string
	}{{"it drains", 404, &name}, {"it cannot serve", 503, &name}, {"another server has its address", 200, &stranger}} {
		r.dial().Get(nodes.HealthPath+"n2").Answer().Failed(503, "misdirected")
		r.dial().Get(here).Answer().Failed(421, "misdirected")
		owner.status.Store(away.status)
		owner.name.Store(away.name)
		eventually(t, patience, away.what, func() bool { return r.config.Nodes.ServesFor("n2") })
		if a := r.dial().Get(nodes.HealthPath + "n2").Answer().Is(200); a.Header.Get(nodes.HeaderNode) != "n1" {
			t.Errorf("%s: the health is of %q", away.what, a.Header.Get(nodes.HeaderNode))
		}
		consumer := r.dial().Get(here)
		r.dial().Post(here, "hello").Answer().Is(200)
		if a := consumer.Answer().Is(200); a.Text != "hello" {
			t.Errorf("%s: the consumer got %q", away.what, a.Text)
		}
		r.dial().Get(foreign).Answer().Failed(421, "misdirected")

		waiting, subscribed := r.dial().Get(here), r.dial().Get(strings.Replace(here, "channels", "topics", 1))
		eventually(t, patience, "both wait", func() bool {
			subscribers, _ := r.broker.LookTopic(key)
			return subscribers == 1 && len(r.broker.Channels("n")) == 1
		})
		owner.status.Store(200)
		owner.name.Store(&name)
		if a := waiting.Answer().Failed(503, "shut_down"); a.Header.Get("Retry-After") != "1" || a.Text != "" {
			t.Errorf("%s: a client that waits is told %q", away.what, a.Text)
		}
		subscribed.Answer().Failed(503, "shut_down")
	}
}

// TestNodeHealth: a node serves its own slots until it drains.
func TestNodeHealth(t *testing.T) {
	t.Parallel()
	r, _ := startNode(t)
	r.dial().Get(nodes.HealthPath + "n1").Answer().Is(200)
	r.dial().Get(nodes.HealthPath+"n3").Answer().Failed(503, "misdirected")
	r.dial().Get(nodes.HealthPath+"n9").Answer().Failed(503, "misdirected")
	_, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	_ = body
	wait := r.shutDown(noise)
	r.dial().Get(nodes.HealthPath+"n1").Answer().Failed(404, "not_found")
	wait()
	start(t).dial().Get(nodes.HealthPath+"n1").Answer().Failed(404, "not_found")
}

// TestNewTable: with another table, waits on names that are no longer served end. The clients and the log learn that the
// name has moved, not that the server stops.
func TestNewTable(t *testing.T) {
	t.Parallel()
	owner := startOwner(t, "n2")
	r := startAudited(t, asFirst(t, owner))
	table := tableOf(t, owner)
	own := nameIn(t, table, "n1", "n2")
	json := "Accept: application/json"
	waiting := []*client{
		r.dial().Get("/channels/n/"+own, json),
		r.dial().Request("POST", "/services/n/"+own, length(0)),
		r.dial().Get("/topics/n/"+own, json),
		r.dial().Post("/topics/n/"+own+"?subscribers=2", "hello"),
	}
	other := r.dial().Get("/channels/n/" + nameIn(t, table, "n1", "n3"))
	eventually(t, patience, "all wait", func() bool {
		load := r.broker.Load()
		return load.Consumers == 2 && load.Producers == 1 && load.Subscriptions == 1 && load.Publishers == 1
	})
	for i, s := range table.Slots {
		if s == (nodes.Slot{Owner: "n1", StandIn: "n2"}) {
			table.Slots[i] = nodes.Slot{Owner: "n2", StandIn: "n3"}
		}
	}
	if err := r.config.Nodes.SetTable(table); err != nil {
		t.Fatal(err)
	}
	for i, c := range waiting {
		if a := c.Answer().Failed(503, "shut_down"); !strings.Contains(a.Text, "another node serves this name now") {
			t.Errorf("client %d is told %q", i, a.Text)
		}
	}
	want := []string{"channel consumer shut_down not_served", "service producer shut_down not_served", "topic producer shut_down not_served"}
	if got := r.rows(len(want), "SELECT shape, role, outcome, reason FROM requests ORDER BY shape"); !slices.Equal(got, want) {
		t.Errorf("on record are %q, want %q", got, want)
	}
	r.dial().Get("/channels/n/"+own).Answer().Failed(421, "misdirected")
	r.dial().Request("HEAD", "/channels/n/"+own).Answer().Is(421) // neither produces nor consumes: no row
	r.audit.Flush()
	want = []string{"channel consumer misdirected"}
	if got := r.rows(len(want), "SELECT shape, role, reason FROM requests WHERE outcome = 'refused'"); !slices.Equal(got, want) {
		t.Errorf("the refusals on record are %q, want %q", got, want)
	}
	if channels := r.broker.Channels("n"); len(channels) != 1 {
		t.Errorf("the channels %q are left, want the other one", channels)
	}
	_ = other
}

// asNode makes a server the node n1 of a table in which all names have that owner and stand-in.
func asNode(t *testing.T, owner, standIn string) func(*Config) {
	t.Helper()
	table := &nodes.Table{Slots: []nodes.Slot{{Owner: owner, StandIn: standIn}}}
	for _, name := range []string{"n1", "n2", "n3"} {
		table.Nodes = append(table.Nodes, nodes.Node{Name: name, URL: "http://" + name})
	}
	member, err := nodes.NewMember("n1", table, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Nodes = member }
}

// nodes are the answers of a server that is one of several nodes.
func (d *description) nodes() {
	d.t.Helper()
	r := start(d.t, asNode(d.t, "n2", "n3"))
	d.all(r, "421", "", nil)
	o := d.operations["getNodeHealth"]
	for _, accept := range []string{"", "application/json"} {
		headers := []string{"Accept: " + accept}
		d.fits(o.OperationId, o.ask(r, "", headers).Is(200), "")
		d.fits(o.OperationId, o.ask(r, "", headers, "{node}", "n2").Is(503), accept)
		d.fits(o.OperationId, o.ask(start(d.t), "", headers).Is(404), accept)
		for _, id := range []string{"getState", "listNamespaces", "listChannels", "deleteNamespace", "getReceipt"} { // no other node runs
			d.fits(id, d.operations[id].ask(r, "", headers).Failed(502, "node_unreachable"), accept)
		}
	}
	r.Journal.Forgive(noAnswer)
}
