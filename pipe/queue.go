package pipe

import "iter"

// A queue is a first-in-first-out line of requests. It is threaded through the requests themselves, so
// that joining costs no memory and leaving from the middle no search. Guarded by Broker.mu.
type queue struct {
	head, tail *Request
	length     int
	kind       kind
}

// A kind of queue. A request stands in at most one of each at a time.
type kind int

const (
	ofChannel kind = iota // one role's on one channel
	ofBroker              // all that wait, or, with the producer for both, all that run
	kinds
)

// A place is where a request stands in a queue.
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

// remove takes r, which must be in q, out of it.
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

// all visits the requests from the first to the last, none of which the visitor may remove.
func (q *queue) all() iter.Seq[*Request] {
	return func(yield func(*Request) bool) {
		for r := q.head; r != nil; r = r.places[q.kind].next {
			if !yield(r) {
				return
			}
		}
	}
}
