package httpapi

import (
	"slices"

	"httpipe/reply"
)

// topicEndings are the answers that publishers and subscribers get.
func (d *description) topicEndings() {
	d.t.Helper()
	r := start(d.t, func(c *Config) { c.MaxMessage = 1 << 20 })
	for _, accept := range []string{"", "application/json"} {
		headers := []string{"Accept: " + accept}
		d.fits("subscribe", r.dial().Get(topicHere+"?wait=0", headers...).Answer().Is(408), accept)
		c := r.dial().Get(topicHere, headers...)
		r.subscribed(1)
		d.fits("lookAtTopic", r.dial().Request("HEAD", topicHere, headers...).Answer().Is(200), "")
		d.fits("deleteTopic", r.dial().Request("DELETE", topicHere, headers...).Answer().Is(204), "")
		d.fits("subscribe", c.Answer().Is(410), accept)
		for _, id := range []string{"publish", "publishPut"} {
			publish := func(query string, n int) *client {
				return r.dial().Request(d.operations[id].method, topicHere+query, append(slices.Clone(headers), length(n))...)
			}
			d.fits(id, publish("?wait=0&subscribers=1", 0).Answer().Is(408), accept)
			d.fits(id, publish("", 2<<20).Answer().Is(413), accept)
			old := r.dial().Say(d.operations[id].method + " " + topicHere + " HTTP/1.0\r\n" + headers[0] + "\r\n\r\n")
			d.fits(id, old.Answer().Is(411), accept)

			p := publish("?subscribers=9", 5).Say("hello")
			eventually(d.t, patience, "a publisher waits", func() bool { return r.broker.Load().Publishers == 1 })
			r.dial().Request("DELETE", topicHere).Answer().Is(204)
			d.fits(id, p.Answer().Is(410), accept)

			c := r.dial().Get(topicHere, headers...)
			r.subscribed(1)
			d.fits(id, publish("", 5).Say("hello").Answer().Is(200), accept)
			d.fits("subscribe", c.Answer().Is(200), "")
		}
	}
	for _, kind := range []string{"text/event-stream", "application/x-ndjson"} {
		c := r.dial().Get(topicHere, "Accept: "+kind)
		r.subscribed(1)
		r.dial().Post(topicHere, "hello").Answer().Is(200)
		r.dial().Request("DELETE", topicHere).Answer().Is(204)
		d.fits("subscribe", c.Answer().Is(200), kind)
	}
}

// onRecord records a call, a publication and a subscription that took it.
func (r *audited) onRecord() {
	r.t.Helper()
	caller := r.dial().Get("/services/n/c")
	work := r.dial().Get("/work/n/c").Answer().Is(200).Header.Get(reply.HeaderReply)
	r.dial().Post(work, "hello").Answer().Is(200)
	caller.Answer().Is(200)
	subscriber := r.dial().Get(topicHere)
	r.subscribed(1)
	r.dial().Post(topicHere, "hello").Answer().Is(200)
	subscriber.Answer().Is(200)
	r.rows(1, "SELECT id FROM calls WHERE outcome = 'answered'")
	r.rows(1, "SELECT id FROM subscriptions WHERE outcome = 'delivered'")
}
