package nodes

import (
	"fmt"
	"sync/atomic"
)

// A Member is this server as one of the nodes. Its methods may be called from any goroutine.
type Member struct {
	name  string
	table atomic.Pointer[Table]
}

// NewMember returns the node of that name in the table.
func NewMember(name string, t *Table) (*Member, error) {
	if _, ok := t.Node(name); !ok {
		return nil, fmt.Errorf("there is no node %q in the table; its nodes are %s", name, t.names())
	}
	m := &Member{name: name}
	m.table.Store(t)
	return m, nil
}

// Name returns the name of this node.
func (m *Member) Name() string { return m.name }

// Table returns the current table. A later one may replace it, so callers do not keep it.
func (m *Member) Table() *Table { return m.table.Load() }

// Others returns the other nodes of the current table.
func (m *Member) Others() []Node { return m.Table().Others(m.name) }
