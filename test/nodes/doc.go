// Package nodes runs three nodes of httpipe behind two HAProxies, and causes the faults that operators see: a node is killed,
// frozen, cut off from one balancer, drained, or comes back with an old table. After each fault no two clients of one
// name may wait on different nodes, no message may have been delivered twice, and each acknowledged message must have
// arrived. Three plain servers behind a consistent hash are the control: there the same tests must find names whose clients
// wait apart, on different nodes.
//
//	cluster_test.go   nodes, balancers, and the links between them
//	clients_test.go   clients that wait and try again; when two of them wait apart
//	traffic_test.go   producers and consumers that note what was sent, acknowledged and received
//	faults_test.go    the faults; control_test.go the control, and the fault that is not covered
//	haproxy_test.go   the configuration and the hash, compared with HAProxy's
package nodes
