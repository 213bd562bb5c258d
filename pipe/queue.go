package pipe

// A queue is a first-in-first-out line of requests. It is threaded through the requests themselves, so
// that joining costs no memory and leaving from the middle no search. Guarded by Broker.mu.
type queue struct {
	head, tail *Request
	length     int
}

func (q *queue) push(r *Request) {
	r.previous = q.tail
	if q.tail == nil {
		q.head = r
	} else {
		q.tail.next = r
	}
	q.tail = r
	q.length++
}

// remove takes r, which must be in q, out of it.
func (q *queue) remove(r *Request) {
	if r.previous == nil {
		q.head = r.next
	} else {
		r.previous.next = r.next
	}
	if r.next == nil {
		q.tail = r.previous
	} else {
		r.next.previous = r.previous
	}
	r.next, r.previous = nil, nil
	q.length--
}
