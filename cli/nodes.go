package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
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
			{name: "slots", arg: "N", def: strconv.Itoa(nodes.DefaultSlots), help: "number of slots that the nodes share", set: into(&slots, parseCount)},
		},
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			table, err := newTable(all, slots)
			if err != nil {
				return err
			}
			_, err = io.WriteString(stdout, table.String())
			return err
		},
	}
}

// nodesHAProxy prints a configuration of HAProxy.
func nodesHAProxy(c *Config) command {
	var (
		all      []nodes.Node
		slots    int // 0: not given
		balancer nodes.Balancer
	)
	return command{
		name: "nodes haproxy", help: "print HAProxy's configuration for a table of nodes",
		more:    "Give the table as --nodes FILE, or the nodes that httpipe nodes table was given. See docs/scale.md.",
		options: reword(pick(c, "nodes"), "nodes", "file with the table of all nodes"),
		flags: []option{
			nodeFlag(&all),
			{name: "slots", arg: "N", help: fmt.Sprintf("number of slots that the nodes share, if not %d", nodes.DefaultSlots), set: into(&slots, parseCount)},
			{name: "listen", arg: "ADDR", help: "address for clients; with a certificate :443, otherwise :80",
				set: into(&balancer.Listen, parseAddr)},
			{name: "tls-cert", arg: "FILE", help: "PEM file with a certificate and its key, for TLS",
				set: into(&balancer.Certificate, parseFileName)},
			{name: "resolver", arg: "ADDR", help: "name server that HAProxy asks for the nodes' addresses as it runs",
				set: into(&balancer.Resolver, parseAddr)},
		},
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) (err error) {
			switch {
			case c.Nodes == "":
				balancer.Table, err = newTable(all, cmp.Or(slots, nodes.DefaultSlots))
			case len(all) > 0:
				err = usageErrorf("--nodes and --node are both set; the file has the nodes already")
			case slots > 0:
				err = usageErrorf("--nodes and --slots are both set; the file has the number of slots already")
			default:
				balancer.Table, err = nodes.ReadFile(c.Nodes)
			}
			if err != nil {
				return err
			}
			if balancer.Listen == "" {
				balancer.Listen = ":80"
				if balancer.Certificate != "" {
					balancer.Listen = ":443"
				}
			}
			text, err := balancer.Config()
			if err != nil {
				return usageError{err}
			}
			_, err = io.WriteString(stdout, text)
			return err
		},
	}
}

// newTable returns a table of the nodes that were given.
func newTable(all []nodes.Node, slots int) (*nodes.Table, error) {
	if len(all) == 0 {
		return nil, usageErrorf("--node is missing: it gives the name and the URL of a node, such as --node n1=http://10.0.0.1:3000; repeat it for each")
	}
	table, err := nodes.New(all, slots)
	if err != nil {
		return nil, usageError{err}
	}
	return table, nil
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
