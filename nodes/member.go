package nodes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// A Member is this server as one of the nodes. Its methods may be called from any goroutine.
type Member struct {
	name   string
	logger *slog.Logger

	view atomic.Pointer[view]

	mu      sync.Mutex // guards the rest, and the order of views
	running bool       // between the call of Run and its end
	changed func()     // the argument of Run
	group   sync.WaitGroup
}

// A view is a table with what this node knows of the owners that it stands in for. Only the state of the owners changes.
type view struct {
	table  *Table
	owners map[string]*owner // that this node stands in for, by name
	stop   func()            // ends the probes; nil if none were started
}

// NewMember returns the node of that name in the table.
func NewMember(name string, t *Table, logger *slog.Logger) (*Member, error) {
	m := &Member{name: name, logger: logger}
	if err := m.SetTable(t); err != nil {
		return nil, err
	}
	return m, nil
}

// Name returns the name of this node.
func (m *Member) Name() string { return m.name }

// Table returns the current table. SetTable may replace it, so callers do not keep it.
func (m *Member) Table() *Table { return m.view.Load().table }

// Others returns the other nodes of the current table.
func (m *Member) Others() []Node { return m.Table().Others(m.name) }

// Serves reports whether this node serves a name now: as the owner of its slot, or as the stand-in of an owner that does
// not serve. It does not block.
func (m *Member) Serves(namespace, name string) bool {
	v := m.view.Load()
	s := v.table.Of(namespace, name)
	return s.Owner == m.name || s.StandIn == m.name && v.owners[s.Owner].gone.Load()
}

// ServesFor reports whether this node serves the slots of that owner for which it is in the table: as the owner itself, or
// as its stand-in while it does not serve.
func (m *Member) ServesFor(name string) bool {
	if name == m.name {
		return true
	}
	o := m.view.Load().owners[name]
	return o != nil && o.gone.Load()
}

// SetTable replaces the table. It returns an error if this node is not in it.
func (m *Member) SetTable(t *Table) error {
	if _, ok := t.Node(m.name); !ok {
		return fmt.Errorf("there is no node %q in the table; its nodes are %s", m.name, t.names())
	}
	next := &view{table: t, owners: make(map[string]*owner)}
	for _, s := range t.Slots {
		if s.StandIn == m.name && next.owners[s.Owner] == nil {
			node, _ := t.Node(s.Owner)
			next.owners[s.Owner] = &owner{node: node}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.view.Load()
	if last != nil {
		for name, o := range last.owners {
			if now := next.owners[name]; now != nil && now.node == o.node {
				now.gone.Store(o.gone.Load())
			}
		}
	}
	m.view.Store(next)
	if m.running {
		last.stop()
		m.startLocked(next)
		m.changed()
	}
	return nil
}

// Run probes the owners that this node stands in for until ctx is done. It calls changed after a change that may end
// this node's service of a name; changed must not block for long, and must not call m.SetTable.
func (m *Member) Run(ctx context.Context, changed func()) {
	m.mu.Lock()
	m.running, m.changed = true, changed
	m.startLocked(m.view.Load())
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.running = false
	m.view.Load().stop()
	m.mu.Unlock()
	m.group.Wait()
}

// startLocked starts the probes of a view.
func (m *Member) startLocked(v *view) {
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	for _, name := range slices.Sorted(maps.Keys(v.owners)) {
		m.group.Go(func() { m.watch(ctx, v.owners[name]) })
	}
}
