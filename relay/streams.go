package relay

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// commentEvery is how often an idle stream gets a comment, so that no proxy cuts it.
const commentEvery = 15 * time.Second

// streams are the subscribers whose streams are open. One timer serves all of them.
type streams struct {
	mu    sync.Mutex // guards the rest
	all   map[*subscriber]struct{}
	timer *time.Timer // of the next comments; nil if there are no streams and no comments are being sent
}

func (t *streams) add(s *subscriber) {
	if comments[s.form] == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = make(map[*subscriber]struct{})
	}
	t.all[s] = struct{}{}
	if t.timer == nil {
		t.timer = time.AfterFunc(commentEvery, t.comment)
	}
}

func (t *streams) remove(s *subscriber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, s)
	if len(t.all) == 0 && t.timer != nil && t.timer.Stop() {
		t.timer = nil
	}
}

// comment sends each stream a comment.
func (t *streams) comment() {
	t.mu.Lock()
	all := slices.AppendSeq(make([]*subscriber, 0, len(t.all)), maps.Keys(t.all))
	t.mu.Unlock()
	for _, s := range all {
		s.comment(comments[s.form])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	if len(t.all) > 0 {
		t.timer = time.AfterFunc(commentEvery, t.comment)
	}
}

// comment sends a comment, unless a message is being written. A client whose kernel takes nothing needs none: what it
// has not read yet keeps the connection busy.
func (s *subscriber) comment(text []byte) {
	if !s.lock.try() {
		return
	}
	defer s.unlock()
	c := s.conn
	if !c.plain {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.writeFewLocked(text)
		return
	}
	if len(s.before) > 0 {
		text = s.before
	}
	n, err := s.TrySend(text, false)
	if n > 0 && err == nil {
		s.before = text[n:]
	}
}
