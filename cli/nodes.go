package cli

import (
	"context"
	"io"
	"strings"

	"httpipe/nodes"
)

// nodesTable prints a table of nodes.
func nodesTable() command {
	var all []nodes.Node
	slots := nodes.DefaultSlots
	return command{
		name: "nodes table", help: "print a table of nodes, for --nodes",
		more: "Give every server and HAProxy the same table. See docs/scale.md.",
		flags: []option{
			nodeFlag(&all),
			{name: "slots", arg: "N", def: "64", help: "number of slots that the nodes share",
				set: into(&slots, parseCount)},
		},
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			if len(all) == 0 {
				return usageErrorf("--node is missing: it gives the name and the URL of a node, such as --node n1=http://10.0.0.1:3000; repeat it for each")
			}
			table, err := nodes.New(all, slots)
			if err != nil {
				return usageError{err}
			}
			_, err = io.WriteString(stdout, table.String())
			return err
		},
	}
}

// nodeFlag is the option that describes a node.
func nodeFlag(all *[]nodes.Node) option {
	return option{name: "node", arg: "NAME=URL", list: true, help: "name and URL of a node; repeat it for each",
		set: into(all, parseNodes)}
}

// parseNodes reads nodes separated by spaces.
func parseNodes(text string) (all []nodes.Node, err error) {
	for word := range strings.FieldsSeq(text) {
		n, err := nodes.ParseNode(word)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
