package nodes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// String returns the table as a file, which Read reads.
func (t *Table) String() string {
	var b strings.Builder
	b.WriteString("# Nodes of httpipe. Each server (--nodes FILE --node NAME) and HAProxy (httpipe nodes haproxy --nodes FILE)\n" +
		"# need the same table.\n\n# node NAME URL\n")
	for _, n := range t.Nodes {
		fmt.Fprintf(&b, "node %s %s\n", n.Name, n.URL)
	}
	fmt.Fprintf(&b, "\nslots %d\n# slot NUMBER OWNER STAND-IN\n", len(t.Slots))
	for i, s := range t.Slots {
		fmt.Fprintf(&b, "slot %d %s %s\n", i, s.Owner, s.StandIn)
	}
	return b.String()
}

// ReadFile reads a table from a file. Its error names the file and, if it can, the line.
func ReadFile(path string) (*Table, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("table of nodes: %w; httpipe nodes table prints one", err)
	}
	defer file.Close()
	return read(file, path)
}

// A tableReader reads a table line by line.
type tableReader struct {
	*Table
	slots int // how many the file says that it has; 0: it has not said so yet
}

// read reads a table. name is that of the file, for errors.
func read(file io.Reader, name string) (*Table, error) {
	t := tableReader{Table: new(Table)}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if err := t.add(words); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s: a line is too long; this is not a table of nodes", name)
	case err != nil:
		return nil, fmt.Errorf("table of nodes: %w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t.Table, nil
}

// add adds a line of the file to t.
func (t *tableReader) add(words []string) error {
	switch words[0] {
	case "node":
		if len(words) != 3 {
			return errors.New("want node NAME URL, such as node n1 http://10.0.0.1:3000")
		}
		if len(t.Slots) > 0 {
			return errors.New("a node after a slot; write all nodes first")
		}
		n, err := newNode(words[1], words[2])
		if err != nil {
			return err
		}
		t.Nodes = append(t.Nodes, n)
		return nil
	case "slots":
		if len(words) != 2 || t.slots != 0 {
			return errors.New("want slots NUMBER, such as slots 64, once")
		}
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 || n > maxSlots {
			return fmt.Errorf("the number of slots must be from 1 to %d", maxSlots)
		}
		t.slots = n
		return nil
	case "slot":
		return t.addSlot(words[1:])
	}
	return fmt.Errorf("unknown word %.40q; a line begins with node, slots or slot", words[0])
}

func (t *tableReader) addSlot(words []string) error {
	if len(words) != 3 {
		return errors.New("want slot NUMBER OWNER STAND-IN, such as slot 0 n1 n2")
	}
	number, err := strconv.Atoi(words[0])
	next := len(t.Slots)
	switch {
	case err != nil:
		return fmt.Errorf("the slot %q is not a number", words[0])
	case number < next:
		return fmt.Errorf("slot %d is here a second time, or not in its order", number)
	case number > next:
		return fmt.Errorf("slot %d is missing before slot %d; write all slots in their order, from 0", next, number)
	case next == maxSlots:
		return fmt.Errorf("there are more than %d slots", maxSlots)
	}
	s := Slot{Owner: words[1], StandIn: words[2]}
	for _, name := range []string{s.Owner, s.StandIn} {
		if _, ok := t.Node(name); !ok {
			return fmt.Errorf("slot %d is of node %q, which no line before it describes; the nodes are %s", number, name, t.names())
		}
	}
	if s.Owner == s.StandIn {
		return fmt.Errorf("node %s cannot stand in for itself in slot %d; name another node", s.Owner, number)
	}
	t.Slots = append(t.Slots, s)
	return nil
}

// check returns an error if the lines, each of which is correct, do not make a table.
func (t *tableReader) check() error {
	if err := checkNodes(t.Nodes); err != nil {
		return err
	}
	if len(t.Slots) == 0 {
		return errors.New("there is no slot; httpipe nodes table prints a table with slots")
	}
	if t.slots == 0 {
		return errors.New("the number of slots is missing, so that a lost line would not be noticed; write slots and their number before slot 0, or print the table again with httpipe nodes table")
	}
	if t.slots != len(t.Slots) {
		return fmt.Errorf("the file says slots %d, and has lines for %d; copy the whole table again", t.slots, len(t.Slots))
	}
	return nil
}
