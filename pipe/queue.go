package pipe

import "iter"

// A queue is a linked list of requests, first in, first out. The links are in the requests themselves, so that
// adding one allocates nothing and removing one from the middle needs no search. Guarded by Broker.mu.
type queue struct {
	head, tail *Request
	length     int
	kind       kind
}

// A kind of queue. A request is in at most one queue of each kind at a time.
type kind int

const (
	channelQueue kind = iota // the waiting requests of one role on one channel
	brokerQueue              // all waiting requests, or all running exchanges, each as its producer
	queueKinds
)

// A place holds a request's links in a queue.
type place struct {
	next, previous *Request
}

func (q *queue) push(r *Request) {
	r.places[q.kind].previous = q.tail
	if q.tail == nil {
		q.head = r
	} else {
		q.tail.places[q.kind].next = r
	}
	q.tail = r
	q.length++
}

// remove removes r, which must be in q.
func (q *queue) remove(r *Request) {
	here := &r.places[q.kind]
	if here.previous == nil {
		q.head = here.next
	} else {
		here.previous.places[q.kind].next = here.next
	}
	if here.next == nil {
		q.tail = here.previous
	} else {
		here.next.places[q.kind].previous = here.previous
	}
	*here = place{}
	q.length--
}

// all visits the requests from the first to the last. The loop must not remove any.
func (q *queue) all() iter.Seq[*Request] {
	return func(yield func(*Request) bool) {
		for r := q.head; r != nil; r = r.places[q.kind].next {
			if !yield(r) {
				return
			}
		}
	}
}
