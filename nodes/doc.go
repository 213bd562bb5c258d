// Package nodes lets several servers share the names of channels, topics and services: each name belongs to one slot of a
// table, each slot to one node. HAProxy in front sends a request to the node that has its name.
//
//	table.go    the Table: nodes, slots and their owners; hash.go: the slot of a name
//	file.go     the table as a file
//	member.go   a Member: this server as one of the nodes; it decides whether it serves a name now
//	probe.go    how a stand-in probes the owner of a slot
//	haproxy.go  the configuration of HAProxy for a table
//
// A slot has an owner, and another node that stands in for it. The owner always serves its slots. The stand-in serves a
// slot only while its own probes of the owner fail, or the owner says that it is draining, whatever a balancer sends. All
// other nodes refuse. So the two sides of a channel do not wait on two nodes.
package nodes
