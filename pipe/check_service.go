package pipe

import "fmt"

// checkServicesLocked checks the invariants of services and calls. It returns how many exchanges run and how many requests
// wait there.
func (b *Broker) checkServicesLocked() (running, waiting int, err error) {
	for key, c := range b.services.channels {
		if c.Key != key || c.shape != Service || c.call != nil || c.running != nil {
			return 0, 0, fmt.Errorf("service %v is filed as %v, or is none", c.Key, key)
		}
		if err := c.checkLocked(); err != nil {
			return 0, 0, fmt.Errorf("service %v: %w", key, err)
		}
		waiting += c.producers.length + c.consumers.length
		for call := range c.calls {
			if b.services.calls[call.ReplyID] != call || call.service != c {
				return 0, 0, fmt.Errorf("service %v has the call %s, which does not run", key, call.ReplyID)
			}
		}
	}
	for id, call := range b.services.calls {
		if call.ReplyID != id {
			return 0, 0, fmt.Errorf("call %s is filed as %s", call.ReplyID, id)
		}
		if err := call.checkLocked(); err != nil {
			return 0, 0, fmt.Errorf("call %s: %w", id, err)
		}
		if call.Request.Outcome == "" || call.answers.running != nil {
			running++
		}
		waiting += call.answers.producers.length + call.answers.consumers.length
	}
	if left := &b.services; len(left.left) != len(left.leftOrder) || len(left.left) > rememberedCalls {
		return 0, 0, fmt.Errorf("%d calls of callers that have left are remembered, %d in order", len(left.left), len(left.leftOrder))
	}
	return running, waiting, nil
}

func (call *Call) checkLocked() error {
	c := call.answers
	_, listed := call.service.calls[call]
	requestRuns := call.Request.Outcome == ""
	switch {
	case call.Outcome != "":
		return fmt.Errorf("has ended (%s) but still runs", call.Outcome)
	case call.service.Reason == notClosed && !listed:
		return fmt.Errorf("is not in the list of its service")
	case c.producers.length > 1 || c.consumers.length > 1:
		return fmt.Errorf("%d answers and %d callers wait", c.producers.length, c.consumers.length)
	case requestRuns && (c.running != nil || c.consumers.length > 0):
		return fmt.Errorf("the caller waits before its request is delivered")
	case !requestRuns && call.Request.Outcome != Delivered:
		return fmt.Errorf("runs although its request has ended as %s", call.Request.Outcome)
	case !requestRuns && (c.running != nil) == (c.consumers.length > 0):
		return fmt.Errorf("the caller does not wait, or still waits during its answer")
	case c.running != nil && c.producers.length > 0:
		return fmt.Errorf("an answer waits while another one is being sent")
	case c.running != call.Answer:
		return fmt.Errorf("its answer is not the one that runs")
	}
	return c.checkLocked()
}
