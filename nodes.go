package main

import (
	"errors"

	"httpipe/cli"
	"httpipe/nodes"
)

// openMember returns this server as one of several nodes, or nil if it is the only one.
func openMember(c *cli.Config) (*nodes.Member, error) {
	if c.Nodes == "" && c.Node == "" {
		return nil, nil
	}
	if c.Nodes == "" || c.Node == "" {
		return nil, errors.New("--nodes and --node must be set together: the table of all nodes, and the name of this one")
	}
	table, err := nodes.ReadFile(c.Nodes)
	if err != nil {
		return nil, err
	}
	return nodes.NewMember(c.Node, table)
}
