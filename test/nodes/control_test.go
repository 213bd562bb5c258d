package nodes

import (
	"testing"
	"time"
)

// TestControl: with a plain consistent hash, a node that died and came back leaves clients of one name on two nodes. If this
// test finds none, the other tests cannot find any either.
func TestControl(t *testing.T) {
	t.Parallel()
	c := startCluster(t, false)
	all := c.startWaiters("w", waiters())
	faults[0].happen(c)
	c.settle()
	c.waiting(all)
	found := meetAll(all, 3)
	t.Logf("with a plain consistent hash: %v", found)
	if found[apart] == 0 {
		t.Errorf("with a plain consistent hash no clients wait apart: %v", found)
	}
}

// TestTwoSidedFault shows the fault that is not covered: the second balancer and the stand-ins lose n1, which the first
// balancer still reaches. Then clients of one name wait on two nodes. When the links are back all of them meet.
func TestTwoSidedFault(t *testing.T) {
	t.Parallel()
	c := startCluster(t, true)
	all := c.startWaiters("w", waiters())
	c.toBalancer.cut()
	c.toNodes.cut()
	c.hold(4 * time.Second)
	c.waiting(all)
	found := meetAll(all, 1)
	t.Logf("while two links are cut: %v", found)
	if found[apart] == 0 {
		t.Errorf("no clients wait apart: %v; then docs/scale.md need not warn of this", found)
	}
	c.toBalancer.mend()
	c.toNodes.mend()
	c.settle()
	allMeet(t, c.startWaiters("again", waiters()))
}
