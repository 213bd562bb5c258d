package nodes

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// DefaultSlots is the number of slots of a table unless another is asked for.
const DefaultSlots = 64

// maxSlots bounds the number of slots: a balancer tries their owners one by one.
const maxSlots = 1024

// A Node is one of the servers.
type Node struct {
	Name string // letters, digits, "-" and "."
	URL  string // http://host:port or https://host:port
}

// A Slot says which nodes serve the names of one slot, by their names.
type Slot struct {
	Owner   string
	StandIn string // serves while the owner does not
}

// A Table says which node serves which name. All nodes and balancers need the same one. It is not changed once made.
type Table struct {
	Nodes []Node
	Slots []Slot
}

// New returns a table in which each of the nodes owns about as many slots as the others, and stands in for about as many.
// The slots of a node depend on its name, so a table with one node more or less gives most slots to the same nodes.
func New(nodes []Node, slots int) (*Table, error) {
	if err := checkNodes(nodes); err != nil {
		return nil, err
	}
	if slots < len(nodes) || slots > maxSlots {
		return nil, fmt.Errorf("%d slots for %d nodes: want from %d to %d slots", slots, len(nodes), len(nodes), maxSlots)
	}
	t := &Table{Nodes: slices.Clone(nodes), Slots: make([]Slot, slots)}
	most := (slots + len(nodes) - 1) / len(nodes)
	owned, standing := make(map[string]int), make(map[string]int)
	for i := range t.Slots {
		s := &t.Slots[i]
		s.Owner = t.best(i, owned, most, "")
		s.StandIn = t.best(i, standing, most, s.Owner)
	}
	return t, nil
}

// best returns the node that gets a slot, other than not: of those that have fewer than most slots the one with the highest
// rank, or the one with the fewest slots. It counts the slot.
func (t *Table) best(slot int, count map[string]int, most int, not string) string {
	chosen := slices.MaxFunc(t.Others(not), func(a, b Node) int {
		full := cmp.Compare(max(count[b.Name], most-1), max(count[a.Name], most-1))
		return cmp.Or(full, cmp.Compare(rank(a.Name, slot), rank(b.Name, slot)))
	})
	count[chosen.Name]++
	return chosen.Name
}

// rank orders the nodes that can get a slot. It depends on nothing but the two, so that most slots keep their nodes when
// another node is added.
func rank(node string, slot int) uint32 { return Hash("slot "+fmt.Sprint(slot), node) }

// Of returns the slot of a name.
func (t *Table) Of(namespace, name string) Slot {
	return t.Slots[Hash(namespace, name)%uint32(len(t.Slots))]
}

// Node returns the node of that name.
func (t *Table) Node(name string) (Node, bool) {
	i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return t.Nodes[i], true
}

// Others returns all nodes but the one of that name.
func (t *Table) Others(name string) []Node {
	return slices.DeleteFunc(slices.Clone(t.Nodes), func(n Node) bool { return n.Name == name })
}

// names returns the names of all nodes as a text.
func (t *Table) names() string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, ", ")
}

// checkNodes returns an error if the nodes cannot share slots.
func checkNodes(nodes []Node) error {
	if len(nodes) < 2 {
		return fmt.Errorf("a table needs two nodes or more, and has %d; a single server needs no table", len(nodes))
	}
	for i, n := range nodes {
		for _, other := range nodes[:i] {
			if n.Name == other.Name {
				return fmt.Errorf("two nodes are called %s; give each node a name of its own", n.Name)
			}
			if n.URL == other.URL {
				return fmt.Errorf("nodes %s and %s have the same URL, %s; each node is a server of its own", other.Name, n.Name, n.URL)
			}
		}
	}
	return nil
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$`)

// ParseNode reads a node as NAME=URL.
func ParseNode(text string) (Node, error) {
	name, address, found := strings.Cut(text, "=")
	if !found {
		return Node{}, errors.New("want NAME=URL, such as n1=http://10.0.0.1:3000")
	}
	return newNode(name, address)
}

func newNode(name, address string) (Node, error) {
	if !nodeName.MatchString(name) {
		return Node{}, fmt.Errorf("the name %q is not possible: want letters, digits, - and ., such as n1", name)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Node{}, fmt.Errorf("the address %q of node %s is not a URL: want http:// or https://, a host and a port, such as http://10.0.0.1:3000", address, name)
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return Node{}, fmt.Errorf("the address %q of node %s must be http:// or https://, a host and a port, and nothing else", address, name)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Node{}, fmt.Errorf("the port %s of node %s must be from 1 to 65535", port, name)
		}
	}
	return Node{Name: name, URL: u.Scheme + "://" + u.Host}, nil
}
