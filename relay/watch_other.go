//go:build !linux || noepoll

package relay

// A watcher is idle where there is no epoll. What net/http itself notices is left: a consumer that hangs
// up, unless bytes are pipelined behind its request, and a producer whose body fits the read-ahead.
type watcher struct{}

func newWatcher() (*watcher, error) { return &watcher{}, nil }

func (*watcher) close()          {}
func (*watcher) works() bool     { return false }
func (*watcher) add(*Conn) error { return nil }
func (*watcher) remove(*Conn)    {}

// A probe is empty where the system cannot be asked.
type probe struct{}

func (c *Conn) alive() bool { return true }

func (c *Conn) quiet() bool { return true }

func (c *Conn) clogged() bool { return false }

func (c *Conn) acknowledged() (n int64, ok bool) { return 0, false }
