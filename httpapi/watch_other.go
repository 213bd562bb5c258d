//go:build !linux || noepoll

package httpapi

import "time"

// A watcher is idle where there is no epoll. What net/http itself notices is left: a consumer that hangs
// up, unless bytes are pipelined behind its request, and a producer whose body fits the read-ahead.
type watcher struct{}

func newWatcher() (*watcher, error) { return &watcher{}, nil }

func (*watcher) close()                  {}
func (*watcher) works() bool             { return false }
func (*watcher) add(*conn) error         { return nil }
func (*watcher) remove(*conn)            {}
func (*watcher) shed(time.Duration) bool { return false }

func (c *conn) alive() bool { return true }

func (c *conn) quiet() bool { return true }

func (c *conn) clogged() bool { return false }

func (c *conn) acknowledged() (n int64, ok bool) { return 0, false }
