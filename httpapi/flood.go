package httpapi

import (
	"net/http"
	"sync"
	"time"

	"httpipe/pipe"
	"httpipe/store"
)

const (
	// refusalRows is how many refusals of one client are recorded one by one in a minute.
	refusalRows = 10
	// refusalClients is how many clients are told apart in a minute. What others there are share one count.
	refusalClients = 10_000
)

// A flood keeps refusals from flooding the log, which would make of a cheap answer an expensive one:
// after refusalRows of a client in a minute, the rest becomes one row with their number, which tells
// otherwise what they had in common.
type flood struct {
	record func(store.Request) // must not block

	mu      sync.Mutex // guards the rest; taken after the broker's
	clients map[string]*refusals
	minute  *time.Timer // runs while there is anything in clients; then tally ends the minute
}

// refusals are those of one client in the current minute.
type refusals struct {
	rows int
	rest store.Request // those that have got no row yet, in one; Count is how many
}

// add records a refusal of a client, now or with others.
func (f *flood) add(client string, r store.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clients == nil {
		f.clients = make(map[string]*refusals)
		f.minute = time.AfterFunc(time.Minute, f.tally)
	}
	c := f.clients[client]
	if c == nil {
		if len(f.clients) >= refusalClients {
			client = "" // everybody else
		}
		if c = f.clients[client]; c == nil {
			c = &refusals{}
			f.clients[client] = c
		}
	}
	if c.rows < refusalRows {
		c.rows++
		f.record(r)
		return
	}
	if c.rest.Count > 0 {
		r = together(c.rest, r)
	}
	c.rest = r
}

// together makes one row of what several refusals and a later one have in common: where they differ it is
// empty, so that it says nothing of anybody that was another's.
func together(several, later store.Request) store.Request {
	later.Count += several.Count
	if several.Namespace != later.Namespace {
		later.Namespace, later.Channel = "", ""
	}
	for _, field := range []struct {
		of    *string
		other string
	}{
		{&later.Channel, several.Channel},
		{&later.Role, several.Role},
		{&later.Reason, several.Reason},
		{&later.Client.Addr, several.Client.Addr},
		{&later.Client.Agent, several.Client.Agent},
		{&later.Client.Subject, several.Client.Subject},
		{&later.Client.RequestID, several.Client.RequestID},
	} {
		if *field.of != field.other {
			*field.of = ""
		}
	}
	return later
}

// recordRefusal puts on record that r was turned away before it came to the broker.
func (s *Server) recordRefusal(r *http.Request, key pipe.Key, role pipe.Role, reason string) {
	s.config.Metrics.CountRefused(role)
	if s.flood == nil {
		return
	}
	now, client := time.Now(), s.client(r)
	s.flood.add(group(client.Addr), store.Request{
		Namespace: key.Namespace,
		Channel:   key.Channel,
		Role:      string(role),
		Outcome:   string(pipe.Refused),
		Reason:    reason,
		Arrived:   now,
		Ended:     now,
		Client:    store.Client(client),
		Count:     1,
	})
}

// tally records what has no row yet, and begins anew.
func (f *flood) tally() {
	f.mu.Lock()
	clients := f.clients
	f.clients = nil
	if f.minute != nil {
		f.minute.Stop()
	}
	f.mu.Unlock()
	for _, c := range clients { // without the lock, for which the broker waits
		if c.rest.Count > 0 {
			f.record(c.rest)
		}
	}
}
