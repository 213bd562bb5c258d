package nodes

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

var cost = flag.Bool("nodes.cost", false, "measure what an exchange costs")

// TestCost measures the processor time of an exchange, of the nodes and of HAProxy, with one, two and three nodes behind one
// HAProxy and with none. The processor time of a node says what a machine of its own would add.
func TestCost(t *testing.T) {
	if !*cost {
		t.Skip("scripts/nodes --cost runs this")
	}
	for n := range 4 {
		t.Run(fmt.Sprintf("%d nodes behind HAProxy", n), func(t *testing.T) {
			c := &cluster{t: t, dir: t.TempDir(), shared: n > 0, addresses: make(map[string]string), nodes: make(map[string]*kit.Server)}
			for _, name := range names {
				c.addresses[name] = freeAddress(t)
			}
			c.toBalancer, c.toNodes = startLink(t, c.addresses["n1"]), startLink(t, c.addresses["n1"])
			c.table(names[:max(n, 2)]...)
			if n == 1 { // n2 only stands in
				text := readFile(t, c.file("n1"))
				for i := range 64 {
					text = strings.ReplaceAll(text, fmt.Sprintf("slot %d n2 n1\n", i), fmt.Sprintf("slot %d n1 n2\n", i))
				}
				kit.WriteFile(t, c.file("n1"), text)
				kit.WriteFile(t, c.file("n2"), text)
				c.members = names[:1]
			}
			if n == 0 {
				c.members = names[:1]
			}
			for _, name := range c.members {
				c.start(name)
			}
			url := "http://" + c.addresses["n1"]
			if n > 0 {
				c.balancers = []*balancer{{cluster: c, address: freeAddress(t)}}
				c.balancers[0].reload()
				c.settle()
				url = c.balancers[0].url()
			}
			c.measure(url)
		})
	}
}

// measure loads the URL for some seconds.
func (c *cluster) measure(url string) {
	load := kit.StartLoad(c.t, url, 64*len(c.members)) // so that each node commits as many exchanges at a time
	load.More(c.t, 2000)
	begun, before := time.Now(), len(load.Acknowledged())
	nodes, balancers := c.used()
	for time.Since(begun) < 6*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	took, done := time.Since(begun), len(load.Acknowledged())-before
	nodesThen, balancersThen := c.used()
	load.Stop(c.t)
	each := func(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Microseconds())/float64(done)) }
	c.t.Logf("%.0f exchanges/s; processor time of an exchange: nodes %s, HAProxy %s", float64(done)/took.Seconds(), each(nodesThen-nodes), each(balancersThen-balancers))
}

// used returns the processor time of the nodes and of the balancers so far.
func (c *cluster) used() (nodes, balancers time.Duration) {
	for _, node := range c.nodes {
		nodes += processorTime(c.t, node.Process.Pid)
	}
	for _, b := range c.balancers {
		balancers += processorTime(c.t, b.process.Pid)
	}
	return nodes, balancers
}

func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat := readFile(t, fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}
