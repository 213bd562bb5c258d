package audit

import (
	"sync"
	"time"

	"httpipe/store"
)

const (
	// maxRowsEach is how many refusals of one client are recorded one by one in a minute.
	maxRowsEach = 10
	// maxRefusedClients is how many clients are counted separately in a minute. All others share one count.
	maxRefusedClients = 10_000
)

// refusals aggregates refused requests. A refusal is cheap for the server, and must not cost a row each time: after
// maxRowsEach rows of a client in a minute, the other refusals of that minute become one row with their number. That
// row keeps only the values that all of them share.
type refusals struct {
	record func(store.Request) // must not block

	mu      sync.Mutex // guards the rest; locked after the broker's mutex
	clients map[string]*clientRefusals
	minute  *time.Timer // runs while clients is not empty, then calls flush
}

// clientRefusals are the refusals of one client in the current minute.
type clientRefusals struct {
	rows    int
	pending store.Request // the refusals without a row of their own, merged; Count is their number
}

// add records a refusal of a client, at once or together with others.
func (f *refusals) add(client string, r store.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clients == nil {
		f.clients = make(map[string]*clientRefusals)
		f.minute = time.AfterFunc(time.Minute, f.flush)
	}
	c := f.clients[client]
	if c == nil {
		if len(f.clients) >= maxRefusedClients {
			client = "" // all others
		}
		if c = f.clients[client]; c == nil {
			c = &clientRefusals{}
			f.clients[client] = c
		}
	}
	if c.rows < maxRowsEach {
		c.rows++
		f.record(r)
		return
	}
	if c.pending.Count > 0 {
		r = merge(c.pending, r)
	}
	c.pending = r
}

// flush records the pending refusals and ends the minute.
func (f *refusals) flush() {
	f.mu.Lock()
	clients := f.clients
	f.clients = nil
	if f.minute != nil {
		f.minute.Stop()
	}
	f.mu.Unlock()
	for _, c := range clients { // without the lock, for which the broker waits
		if c.pending.Count > 0 {
			f.record(c.pending)
		}
	}
}

// merge returns one row for several refusals and a later one. A field in which they differ is empty, so that the row
// says nothing that is true of only some of them.
func merge(several, later store.Request) store.Request {
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
		{&later.Shape, several.Shape},
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
