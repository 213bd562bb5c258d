//go:build linux

package soak

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Invariants of the audit log: it is in order and complete, it agrees with what clients were told, and each outcome has a
// cause.

// order: of two requests in one role on one channel, the older one is matched first.
func (h *history) order(report func(string, ...any)) {
	queues := make(map[string][]*note)
	for _, n := range h.notes {
		if !n.waitedUntil().IsZero() {
			queues[n.role+n.channel] = append(queues[n.role+n.channel], n)
		}
	}
	for _, queue := range queues {
		// By the times of the log.
		h.inQueue(queue, (*note).arrived, (*note).arrived, resolution, report)
		// By the times of the clients, which do not know when the server got the request.
		h.inQueue(queue, func(n *note) time.Time { return n.asked }, func(n *note) time.Time { return n.begun }, busy, report)
	}
	for _, n := range h.notes {
		if at := n.arrived(); !at.IsZero() && (at.Before(n.begun.Add(-resolution)) || at.After(n.done.Add(resolution)) && n.status > 0) {
			report("the log has another time of arrival: %v", n)
		}
	}
}

// inQueue reports requests that were matched while one still waited that had arrived more than the margin before.
func (h *history) inQueue(queue []*note, in, comes func(*note) time.Time, margin time.Duration, report func(string, ...any)) {
	early := slices.SortedFunc(slices.Values(queue), func(a, b *note) int { return in(a).Compare(in(b)) })
	late := slices.SortedFunc(slices.Values(queue), func(a, b *note) int { return comes(a).Compare(comes(b)) })
	var longest *note // of those that were in the queue
	for _, n := range late {
		for len(early) > 0 && in(early[0]).Add(margin).Before(comes(n)) {
			if longest == nil || early[0].waitedUntil().After(longest.waitedUntil()) {
				longest = early[0]
			}
			early = early[1:]
		}
		if len(n.exchanges) > 0 && longest != nil && longest.waitedUntil().After(n.waitedUntil().Add(resolution)) &&
			(margin < busy || !h.late(longest.asked, n.begun)) {
			report("matched before an older one: %v\n\t%v", n, longest)
		}
	}
}

// single: a channel has one exchange at a time, by the log and by what clients saw.
func (h *history) single(report func(string, ...any)) {
	lives := make(map[int64][]*exchangeRow)
	for _, x := range h.exchanges {
		lives[x.life] = append(lives[x.life], x)
	}
	for _, exchanges := range lives {
		slices.SortStableFunc(exchanges, func(a, b *exchangeRow) int {
			return cmp.Or(a.matched.Compare(b.matched), cmp.Compare(a.id, b.id))
		})
		for i, x := range exchanges[:len(exchanges)-1] {
			next := exchanges[i+1]
			if x.ended.IsZero() || next.matched.Before(x.ended) {
				report("two at once: %v\n\t%v", x, next)
			}
			// The consumer of the next must not get its response before the producer of this one has sent its last byte.
			sent, heard := x.side[0].last, next.side[1].first
			if x.outcome == "delivered" && next.side[1].status == 200 && heard.Before(sent) {
				report("two at once, by what their clients saw: %v\n\t%v\n\t%v", x, x.side[0], next.side[1])
			}
		}
	}
}

// recorded: each request has exactly one ending in the log.
func (h *history) recorded(report func(string, ...any)) {
	for _, n := range h.notes {
		endings := len(n.exchanges) + len(n.requests)
		unrecorded := n.code == "audit_unavailable" && n.exchange == ""
		patient := n.done.Sub(n.asked) > busy && !n.asked.IsZero() && !h.stopping(n.begun, n.asked.Add(busy))
		switch {
		case endings > 1:
			report("%d endings: %v", endings, n)
		case unrecorded && endings > 0:
			report("refused because the log was unavailable, and in the log: %v", n)
		case unrecorded && !h.full(n.begun, n.done):
			report("refused because of the log, which was available: %v", n)
		case endings == 0 && !unrecorded && (n.status > 0 || patient && !h.late(n.asked, n.done)) && !h.killed(n):
			report("no ending: %v", n)
		}
	}
	for _, x := range h.exchanges {
		if x.outcome == "open" {
			report("still open after all clients have left: %v", x)
		}
	}
}

// agreement: the log says what the clients were told.
func (h *history) agreement(report func(string, ...any)) {
	for _, n := range h.notes {
		outcome := n.outcome()
		if outcome == "" || n.status == 0 && n.role == "producer" {
			continue
		}
		if len(n.exchanges) == 1 && n.exchange != n.exchanges[0].id && n.status != 0 {
			report("the client was told the id of another exchange: %v", n)
		}
		agrees := n.code == outcome || n.malformed && n.code == "bad_request" && outcome == "producer_left"
		switch {
		case outcome == "interrupted" && h.killed(n) && (n.status != 200 || n.role == "consumer"):
			agrees = true
		case n.code == "audit_unavailable":
			// The commit may have succeeded although the server gave up waiting for it.
			agrees = outcome == "unrecorded" || outcome == "delivered" && h.full(n.begun, n.done)
		case n.role == "producer" && n.status == 200:
			agrees = outcome == "delivered"
		case n.role == "consumer" && n.complete && n.status == 200:
			agrees = outcome == "delivered" || outcome == "unrecorded"
		case n.role == "consumer" && n.stayed() && n.status <= 200: // broken off
			agrees = outcome != "delivered" && outcome != "unrecorded" || h.killed(n) && n.pipelined
		case n.role == "consumer" && n.status <= 200: // hung up; anything is possible
			agrees = true
		}
		if !agrees {
			report("the log says %s: %v%s", outcome, n, partners(n))
		}
	}
}

// partners describes the other side of the exchange of n.
func partners(n *note) (text string) {
	for _, x := range n.exchanges {
		for _, other := range x.side {
			if other != n {
				text += "\n\t" + other.String()
			}
		}
	}
	return text
}

// causes: no outcome without its cause.
func (h *history) causes(report func(string, ...any)) {
	for _, x := range h.exchanges {
		producer, consumer := x.side[0], x.side[1]
		because := true
		switch x.outcome {
		case "consumer_left":
			because = !consumer.stayed()
		case "producer_left":
			because = !producer.stayed() || producer.malformed
		case "stalled":
			because = consumer.stall > stallLimit || h.late(x.matched, x.ended)
		case "silent", "too_large":
			because = h.ownFault(producer, x.outcome) || x.outcome == "silent" && h.late(x.matched, x.ended)
		case "deleted":
			because = h.deleted(x.channel, x.matched, x.ended)
		case "shut_down":
			because = h.stopping(x.matched, x.ended.Add(resolution))
		case "unrecorded":
			because = h.full(x.matched, x.ended.Add(commitTime))
		case "interrupted":
			// One side may have left long before: the exchange continues while the other reads what is buffered.
			because = h.killed(producer) || h.killed(consumer)
		}
		if !because {
			report("no cause for the outcome %s: %v\n\t%v", x.outcome, producer, consumer)
		}
	}
	for _, r := range h.requests {
		because := false
		switch n := r.note; r.outcome {
		case "left":
			because = !n.stayed()
		case "producer_left":
			because = n.malformed
		case "silent", "too_large":
			because = h.ownFault(n, r.outcome) || r.outcome == "silent" && h.late(r.arrived, r.ended)
		case "timed_out":
			limit := waitLimit
			if n.wait >= 0 {
				limit = min(limit, n.wait)
			}
			waited := r.ended.Sub(r.arrived)
			because = limit-resolution <= waited && (waited <= limit+busy || h.late(r.arrived, r.ended))
		case "deleted":
			because = h.deleted(r.channel, r.arrived, r.ended)
		case "shut_down":
			because = h.stopping(r.arrived, r.ended.Add(resolution))
		}
		if !because {
			report("no cause for the outcome %s: %v", r.outcome, r.note)
		}
	}
}

// ownFault reports whether the producer caused that outcome.
func (h *history) ownFault(n *note, outcome string) bool {
	if outcome == "silent" {
		return n.pause > silenceLimit
	}
	return n.size > sizeLimit
}

// covers reports whether the deletion is of that channel.
func (d deletion) covers(channel string) bool {
	return d.name == channel || strings.HasSuffix(d.name, "/") && strings.HasPrefix(channel, d.name)
}

func (h *history) deleted(channel string, from, to time.Time) bool {
	return slices.ContainsFunc(h.deletions, func(d deletion) bool {
		return d.covers(channel) && d.asked.Before(to.Add(resolution)) && d.answered.After(from.Add(-resolution))
	})
}

// deletes: a DELETE ends the exchange of the channel, and no request that waited before it is matched afterwards.
func (h *history) deletes(report func(string, ...any)) {
	for _, d := range h.deletions {
		for _, x := range h.exchanges {
			if !d.covers(x.channel) {
				continue
			}
			for _, wait := range x.wait {
				if x.matched.Add(-wait).Before(d.asked.Add(-resolution)) && x.matched.After(d.answered.Add(resolution)) {
					report("matched after it was deleted at %s: %v\n\t%v\n\t%v", clock(d.answered), x, x.side[0], x.side[1])
				}
			}
			if x.matched.Before(d.asked.Add(-resolution)) && x.ended.After(d.answered.Add(busy)) && x.outcome != "interrupted" &&
				!h.late(d.asked, x.ended) {
				report("continues after it was deleted at %s: %v", clock(d.answered), x)
			}
		}
	}
}

// addUp: the lives of a channel do not overlap, and the totals of each are those of its exchanges.
func (h *history) addUp(report func(string, ...any)) {
	exchanges, bytes := make(map[int64]int64), make(map[int64]int64)
	for _, x := range h.exchanges {
		exchanges[x.life]++
		bytes[x.life] += max(x.bytes, 0)
	}
	last := make(map[string]*lifeRow)
	for _, l := range h.lives {
		if l.closed.IsZero() {
			report("still open after all clients have left: %v", l)
		}
		if l.exchanges != exchanges[l.id] || l.bytes != bytes[l.id] {
			report("%d exchanges and %d bytes are in the log: %v", exchanges[l.id], bytes[l.id], l)
		}
		if before := last[l.channel]; before != nil && l.opened.Before(before.closed) {
			report("two lives at once: %v\n\t%v", before, l)
		}
		last[l.channel] = l
		delete(exchanges, l.id)
	}
	for life, n := range exchanges {
		report("%d exchanges in life %d, which is not in the log", n, life)
	}
}
