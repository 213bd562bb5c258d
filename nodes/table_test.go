package nodes

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestHash has the values that HAProxy 2.6 computes with path,field(3,/,2),crc32(1); test/nodes compares more with a real one.
func TestHash(t *testing.T) {
	for text, want := range map[string]uint32{"v1/a": 2358791222, "demo/hello": 4287633893, "a/b": 1014937748, "x/yy": 947018941} {
		namespace, name, _ := strings.Cut(text, "/")
		if got := Hash(namespace, name); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if slot := Hash("v1", "a") % DefaultSlots; slot != 54 {
		t.Errorf("the slot of v1/a is %d, want 54", slot)
	}
	if n := testing.AllocsPerRun(100, func() { Hash("namespace", "name") }); n > 0 {
		t.Errorf("Hash allocates %v times", n)
	}
}

func makeNodes(n int) (nodes []Node) {
	for i := range n {
		nodes = append(nodes, Node{fmt.Sprintf("n%d", i+1), fmt.Sprintf("http://10.0.0.%d:3000", i+1)})
	}
	return nodes
}

// TestNew: slots are shared evenly, and another node changes the owners of few.
func TestNew(t *testing.T) {
	var before *Table
	for n := 2; n <= 9; n++ {
		table, err := New(makeNodes(n), DefaultSlots)
		if err != nil {
			t.Fatal(err)
		}
		owned, standing, moved := make(map[string]int), make(map[string]int), 0
		for i, s := range table.Slots {
			owned[s.Owner]++
			standing[s.StandIn]++
			if s.Owner == s.StandIn {
				t.Errorf("%d nodes: slot %d has %s twice", n, i, s.Owner)
			}
			if before != nil && before.Slots[i].Owner != s.Owner {
				moved++
			}
		}
		fair := DefaultSlots / n
		for _, node := range table.Nodes {
			if o, s := owned[node.Name], standing[node.Name]; o < fair-n || o > fair+1 || s < fair-n || s > fair+2 {
				t.Errorf("%d nodes: %s owns %d slots and stands in for %d, want about %d", n, node.Name, o, s, fair)
			}
		}
		if moved > 2*fair+n {
			t.Errorf("the node %d changes the owners of %d slots, want about %d", n, moved, fair)
		}
		before = table
	}
}

func TestFile(t *testing.T) {
	want, err := New(makeNodes(3), 7)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(strings.NewReader(want.String()), "a.txt")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %v, %v; want %v", got, err, want)
	}
}

// TestFileErrors: an error says where, what, and what to do.
func TestFileErrors(t *testing.T) {
	const two = "node n1 http://a:1\nnode n2 http://b:1\n"
	for text, want := range map[string]string{
		"":                                     "a.txt: a table needs two nodes or more, and has 0",
		"node n1 http://a:1\n":                 "a.txt: a table needs two nodes or more, and has 1; a single server needs no table",
		"node n1\n":                            "a.txt, line 1: want node NAME URL",
		"# x\nnode n1 10.0.0.1:3000\n":         "a.txt, line 2: the address \"10.0.0.1:3000\" of node n1 is not a URL: want http://",
		"node n1 http://a:1/x\n":               "a.txt, line 1: the address \"http://a:1/x\" of node n1 must be",
		"node n_1 http://a:1\n":                "a.txt, line 1: the name \"n_1\" is not possible",
		"server n1 http://a:1\n":               "a.txt, line 1: unknown word \"server\"; a line begins with node, slots or slot",
		two + "node n1 http://c:1\n":           "a.txt: two nodes are called n1",
		two + "node n3 http://a:1\n":           "a.txt: nodes n1 and n3 have the same URL",
		strings.Repeat("x", 1000):              "unknown word \"" + strings.Repeat("x", 40) + "\"; a line",
		strings.Repeat("x", 1<<20):             "a.txt: a line is too long; this is not a table of nodes",
		"node n1 http://a:99999\n":             "a.txt, line 1: the port 99999 of node n1 must be from 1 to 65535",
		two + "slots\n":                        "a.txt, line 3: want slots NUMBER",
		two + "slots 0\n":                      "a.txt, line 3: the number of slots must be from 1 to 1024",
		two + "slots 1\nslots 1\n":             "a.txt, line 4: want slots NUMBER, such as slots 64, once",
		two + "slot 0 n1 n2\n":                 "a.txt: the number of slots is missing",
		two + "slots 2\nslot 0 n1 n2\n":        "a.txt: the file says slots 2, and has lines for 1; copy the whole table again",
		two:                                    "a.txt: there is no slot; httpipe nodes table prints",
		two + "slot 0 n1\n":                    "a.txt, line 3: want slot NUMBER OWNER STAND-IN",
		two + "slot x n1 n2\n":                 "a.txt, line 3: the slot \"x\" is not a number",
		two + "slot 0 n1 n1\n":                 "a.txt, line 3: node n1 cannot stand in for itself in slot 0",
		two + "slot 0 n1 n3\n":                 "a.txt, line 3: slot 0 is of node \"n3\", which no line before it describes; the nodes are n1, n2",
		two + "slot 0 n1 n2\nslot 2 n1 n2\n":   "a.txt, line 4: slot 1 is missing before slot 2",
		two + "slot 0 n1 n2\nslot 0 n1 n2\n":   "a.txt, line 4: slot 0 is here a second time",
		two + "slot 0 n1 n2\n" + "node n3 x\n": "a.txt, line 4: a node after a slot",
	} {
		if _, err := read(strings.NewReader(text), "a.txt"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
	if _, err := ReadFile("no/such/file"); err == nil || !strings.HasPrefix(err.Error(), "table of nodes: open no/such/file: no such file or directory; ") || !strings.Contains(err.Error(), "httpipe nodes table") {
		t.Errorf("no file: %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	two := makeNodes(2)
	for want, try := range map[string]func() error{
		"a table needs two nodes or more, and has 1": func() error { _, err := New(two[:1], 64); return err },
		"two nodes are called n1":                    func() error { _, err := New([]Node{two[0], {"n1", "http://x"}}, 64); return err },
		"1 slots for 2 nodes: want from 2":           func() error { _, err := New(two, 1); return err },
		"want NAME=URL":                              func() error { _, err := ParseNode("http://10.0.0.1:3000"); return err },
		"is not a URL: want http:// or https://":     func() error { _, err := ParseNode("n1=10.0.0.1:3000"); return err },
		"there is no node \"n9\" in the table; its nodes are n1, n2": func() error {
			table, err := New(two, 2)
			if err == nil {
				_, err = NewMember("n9", table, slog.New(slog.DiscardHandler))
			}
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
