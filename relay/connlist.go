package relay

// A connList is a linked list of open connections, oldest first. The links are in the connections, which takes less memory
// than a map does. A connection is in one list at most. The owner of the list guards it and the links.
type connList struct {
	first, last *Conn
	length      int
}

func (l *connList) add(c *Conn) {
	c.older = l.last
	if l.last == nil {
		l.first = c
	} else {
		l.last.newer = c
	}
	l.last = c
	l.length++
}

// remove removes c, if it is in l.
func (l *connList) remove(c *Conn) {
	if c.older == nil && l.first != c {
		return
	}
	if c.older == nil {
		l.first = c.newer
	} else {
		c.older.newer = c.newer
	}
	if c.newer == nil {
		l.last = c.older
	} else {
		c.newer.older = c.older
	}
	c.newer, c.older = nil, nil
	l.length--
}
