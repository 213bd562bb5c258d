package nodes

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

var prove = flag.Bool("nodes.prove", false, "run with 200 names, for longer")

// waiters returns how many names clients wait on.
func waiters() int {
	if *prove {
		return 200
	}
	return 60
}

// A fault happens to the node n1, and an operator mends it. It ends with all nodes in service.
type fault struct {
	name   string
	happen func(c *cluster)
}

var faults = []fault{
	{"KillAndRestart", func(c *cluster) {
		c.kill("n1")
		c.hold(3 * time.Second)
		c.start("n1")
	}},
	{"FreezeAndContinue", func(c *cluster) {
		c.signal("n1", syscall.SIGSTOP)
		c.hold(4 * time.Second)
		c.signal("n1", syscall.SIGCONT)
	}},
	{"RollingRestart", func(c *cluster) {
		for _, name := range names {
			c.nodes[name].Stop(c.t)
			c.start(name)
			c.settle()
		}
	}},
	{"NewTable", func(c *cluster) {
		c.table("n1", "n2") // n3 is taken out
		c.signal("n1", syscall.SIGHUP)
		c.balancers[0].reload()
		c.signal("n2", syscall.SIGHUP)
		c.balancers[1].reload()
	}},
}

// hold lets time pass: the fault lasts.
func (c *cluster) hold(d time.Duration) { time.Sleep(d) }

// TestFaults: after each fault all clients of a name meet, and no message is lost or delivered twice.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, true)
			all, traffic := c.startWaiters("w", waiters()), c.startTraffic(10)
			f.happen(c)
			c.settle()
			c.waiting(all)
			allMeet(t, all)
			traffic.ends(t)
		})
	}
}

// TestLostLink: the second balancer loses n1, which lives. Its clients of n1's names are sent away, and do not wait on
// another node.
func TestLostLink(t *testing.T) {
	t.Parallel()
	c := startCluster(t, true)
	all, traffic := c.startWaiters("w", waiters()), c.startTraffic(10)
	c.toBalancer.cut()
	c.hold(4 * time.Second)
	found := meetAll(all, 2)
	t.Logf("while the link is cut: %v", found)
	if found[apart] > 0 || found[unreachable] == 0 || found[met] == 0 {
		t.Errorf("while the link is cut: %v; want none apart, some unreachable", found)
	}
	c.toBalancer.mend()
	c.settle()
	again := c.startWaiters("again", waiters())
	allMeet(t, again)
	traffic.ends(t)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOldTable: a node that comes back with an old table refuses names that it no longer serves, so no client waits there,
// until it has the new one.
func TestOldTable(t *testing.T) {
	t.Parallel()
	c := startCluster(t, true)
	old := readFile(t, c.file("n1"))
	c.kill("n1")
	c.table("n1", "n2")
	c.signal("n2", syscall.SIGHUP)
	for _, b := range c.balancers {
		b.reload()
	}
	current := readFile(t, c.file("n1"))
	kit.WriteFile(t, c.file("n1"), old)
	c.start("n1")
	for _, b := range c.balancers {
		c.eventually("the node with the old table refuses a name", func() bool {
			for i := range 40 {
				status, header, body, err := send(t.Context(), "GET", b.url()+fmt.Sprint("/channels/old/", i, "?wait=0"), "")
				if header.Get("Httpipe-Error") == "misdirected" {
					if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || body != "" || err != nil {
						t.Errorf("a consumer gets %d %v %q, %v", status, header, body, err)
					}
					return true
				}
			}
			return false
		})
	}
	kit.WriteFile(t, c.file("n1"), current)
	c.signal("n1", syscall.SIGHUP)
	c.settle()
	allMeet(t, c.startWaiters("w", waiters()))
}
