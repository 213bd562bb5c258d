package nodes

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// names are the nodes. The faults happen to the first.
var names = []string{"n1", "n2", "n3"}

// A cluster is three nodes behind two balancers. The second balancer and the other nodes reach n1 by links that can be cut.
type cluster struct {
	t                   *testing.T
	dir                 string
	shared              bool              // the nodes share the names by a table; false: the control
	addresses           map[string]string // host:port of each node
	members             []string          // the nodes in the table
	toBalancer, toNodes *link             // between n1 and the second balancer, and between n1 and the other nodes
	nodes               map[string]*kit.Server
	balancers           []*balancer
	ledger              kit.Ledger // of the clients on channels
}

// startCluster runs a cluster until the end of the test.
func startCluster(t *testing.T, shared bool) *cluster {
	t.Helper()
	kit.NeedTool(t, "haproxy")
	c := &cluster{t: t, dir: t.TempDir(), shared: shared, addresses: make(map[string]string), nodes: make(map[string]*kit.Server)}
	for _, name := range names {
		c.addresses[name] = freeAddress(t)
	}
	c.toBalancer, c.toNodes = startLink(t, c.addresses["n1"]), startLink(t, c.addresses["n1"])
	c.table(names...)
	for _, name := range names {
		c.start(name)
	}
	for i := range 2 {
		c.balancers = append(c.balancers, &balancer{cluster: c, number: i, address: freeAddress(t)})
		c.balancers[i].reload()
	}
	c.settle()
	return c
}

var taken sync.Map // by freeAddress

// freeAddress returns an address that no other test of this package gets.
func freeAddress(t *testing.T) string {
	for {
		address := kit.FreeAddress(t)
		if _, other := taken.LoadOrStore(address, true); !other {
			return address
		}
	}
}

// file returns the table's file of a node.
func (c *cluster) file(name string) string { return filepath.Join(c.dir, name+".txt") }

// table writes the tables of all nodes, for a cluster of these nodes. The others have the link in place of n1's address.
func (c *cluster) table(of ...string) {
	c.t.Helper()
	args := []string{"nodes", "table"}
	for _, name := range of {
		args = append(args, "--node", name+"=http://"+c.addresses[name])
	}
	c.members = of
	code, table := kit.Run(c.t, c.dir, args...)
	if code != 0 {
		c.t.Fatal(table)
	}
	for _, name := range names {
		text := table
		if name != "n1" {
			text = strings.ReplaceAll(table, c.addresses["n1"], c.toNodes.address)
		}
		kit.WriteFile(c.t, c.file(name), text)
	}
}

// start runs a node, also again.
func (c *cluster) start(name string) {
	c.t.Helper()
	_, port, _ := net.SplitHostPort(c.addresses[name])
	args := []string{"--port", port, "--host", "127.0.0.1", "--log-format", "json", "--audit-db", name + ".db", "--drain-timeout", "20s"}
	if c.shared {
		args = append(args, "--nodes", c.file(name), "--node", name)
	}
	cmd := exec.Command(kit.Binary(c.t), args...)
	cmd.Dir = c.dir
	c.nodes[name] = kit.StartCommand(c.t, cmd)
}

// kill kills a node, and returns when it is gone.
func (c *cluster) kill(name string) {
	c.nodes[name].Process.Kill()
	<-c.nodes[name].Exited
}

func (c *cluster) signal(name string, s syscall.Signal) {
	c.t.Helper()
	if err := c.nodes[name].Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// settle waits until each balancer serves names by each of the nodes that have some, and by no other.
func (c *cluster) settle() {
	c.t.Helper()
	for _, b := range c.balancers {
		c.eventually("all nodes serve", func() bool {
			by := make(map[string]bool)
			for i := range 40 {
				status, header, _, err := send(c.t.Context(), "GET", fmt.Sprintf("%s/channels/settle/%d?wait=0", b.url(), i), "")
				if err != nil || status != http.StatusRequestTimeout {
					return false
				}
				by[header.Get(servedBy)] = true
			}
			return slices.Equal(slices.Sorted(maps.Keys(by)), c.members)
		})
	}
}

// servedBy is a header that the balancers add, only for these tests.
const servedBy = "X-Served-By"

func (c *cluster) eventually(what string, is func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * kit.Pause) {
		if time.Now().After(deadline) {
			c.t.Fatal("still not so: ", what)
		}
	}
}

// A balancer is an HAProxy.
type balancer struct {
	cluster *cluster
	number  int
	address string
	process *os.Process // nil before the first reload
}

func (b *balancer) url() string { return "http://" + b.address }

// config returns the configuration: by the table of n1, or of plain consistent hashing.
func (b *balancer) config() string {
	c := b.cluster
	if !c.shared {
		return b.plain()
	}
	code, config := kit.Run(c.t, c.dir, "nodes", "haproxy", "--nodes", c.file("n1"), "--listen", b.address)
	if code != 0 {
		c.t.Fatal(config)
	}
	if b.number == 1 {
		config = strings.ReplaceAll(config, c.addresses["n1"], c.toBalancer.address)
	}
	return strings.Replace(config, "\tbind ", "\thttp-after-response set-header "+servedBy+" %s\n\tbind ", 1)
}

// plain returns the configuration of a consistent hash by the path, with the same options otherwise.
func (b *balancer) plain() string {
	c := b.cluster
	config := "defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 1h\n\ttimeout server 1h\n\toption abortonclose\n\toption http-no-delay\n\tretries 0\n" +
		"listen all\n\thttp-after-response set-header " + servedBy + " %s\n\tbind " + b.address + "\n\tbalance uri\n\thash-type consistent\n\toption httpchk GET /healthz\n\tdefault-server inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions\n"
	for _, name := range names {
		config += "\tserver " + name + " " + c.addresses[name] + " check\n"
	}
	return config
}

// reload starts HAProxy, in place of one that runs.
func (b *balancer) reload() {
	b.cluster.t.Helper()
	b.reloadWith(b.config())
}

func (b *balancer) reloadWith(config string) {
	t := b.cluster.t
	t.Helper()
	file := kit.WriteFile(t, filepath.Join(b.cluster.dir, fmt.Sprintf("balancer%d.cfg", b.number)), config)
	args := []string{"-db", "-f", file}
	if b.process != nil {
		args = append(args, "-sf", fmt.Sprint(b.process.Pid))
	}
	cmd := exec.Command("haproxy", args...)
	kit.EndWithTest(cmd)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("balancer %d printed:\n%s", b.number, &printed)
		}
	})
	b.process = cmd.Process
	b.cluster.eventually("the balancer listens", func() bool {
		conn, err := net.Dial("tcp", b.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// A link passes TCP connections on, until it is cut: then nothing comes through, and the clients are not told. The server's
// connections are reset, as its keep-alive probes would do after some seconds.
type link struct {
	address string
	dead    atomic.Bool

	mu        sync.Mutex
	near, far []net.Conn // of clients, and to the server
}

func startLink(t *testing.T, to string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{address: ln.Addr().String()}
	t.Cleanup(func() { ln.Close(); l.close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			l.keep(&l.near, near)
			if l.dead.Load() {
				continue
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.(*net.TCPConn).SetLinger(0)
				near.Close()
				continue
			}
			l.keep(&l.far, far)
			go l.pass(near, far)
			go l.pass(far, near)
		}
	}()
	return l
}

func (l *link) keep(side *[]net.Conn, conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*side = append(*side, conn)
}

// pass copies bytes, and the end, in one direction.
func (l *link) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if l.dead.Load() {
			return
		}
		if _, failed := to.Write(buffer[:n]); err == nil {
			err = failed
		}
		if err != nil {
			to.Close()
			from.Close()
			return
		}
	}
}

// cut lets nothing through from now on.
func (l *link) cut() {
	l.dead.Store(true)
	l.reset(&l.far)
}

// mend lets new connections through. Those from before are reset.
func (l *link) mend() {
	l.close()
	l.dead.Store(false)
}

func (l *link) close() {
	l.reset(&l.near)
	l.reset(&l.far)
}

func (l *link) reset(side *[]net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range *side {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	*side = nil
}
