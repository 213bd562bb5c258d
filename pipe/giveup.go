package pipe

// admitsLocked reports whether a request to the name may wait.
func (b *Broker) admitsLocked(k Key) bool {
	return !b.stopping && (b.config.Serves == nil || b.config.Serves(k))
}

// movedLocked reports whether the outcome o of a wait means that this node no longer serves the name.
func (b *Broker) movedLocked(o Outcome) bool { return o == ShutDown && !b.stopping }

// GiveUp ends every wait on the names that Config.Serves no longer admits (ShutDown), as Shutdown does for all names.
// Exchanges and calls that run go on, and a message that is being sent is finished before the subscriptions to its topic
// end. Like DeleteTopic it may block for the records of these.
func (b *Broker) GiveUp() {
	if b.config.Serves == nil {
		return
	}
	b.mu.Lock()
	for c := range b.channelsLocked() {
		if !b.config.Serves(c.Key) {
			c.dismissAllLocked(ShutDown)
			c.advanceLocked()
		}
	}
	var topics []*topic
	for k, t := range b.topics {
		if !b.config.Serves(k) {
			topics = append(topics, t)
		}
	}
	b.mu.Unlock()
	for _, t := range topics {
		t.stop()
	}
}
