package pipe

import (
	"strings"
	"testing"
)

// check must report each kind of violation.
func TestCheckFinds(t *testing.T) {
	tests := []struct {
		finds string
		spoil func(w *world, c *channel)
	}{
		{"kept without channels", func(w *world, _ *channel) { w.broker.namespaces["empty"] = map[string]*channel{} }},
		{"is filed under", func(_ *world, c *channel) { c.Key.Channel = "elsewhere" }},
		{"is closed (idle) but", func(_ *world, c *channel) { c.Reason = ClosedIdle }},
		{"without requests and exchange", func(_ *world, c *channel) { c.producers = queue{} }},
		{"left waiting", func(_ *world, c *channel) { c.producers.head.ready, c.consumers = true, c.producers }},
		{"of another channel or state", func(_ *world, c *channel) { c.producers.head.state = ended }},
		{"of another channel or state", func(_ *world, c *channel) { c.producers.head.channel = nil }},
		{"of another channel or state", func(_ *world, c *channel) { c.producers.head.Role = Consumer }},
		{"broken at place 2", func(_ *world, c *channel) { c.producers.tail.places[channelQueue].previous = nil }},
		{"place 2 arrived before", func(_ *world, c *channel) { c.producers.tail.ArrivedAt = c.OpenedAt.Add(-1) }},
		{"contains 2 requests, 3 are counted", func(_ *world, c *channel) { c.producers.length++ }},
		{"contains 2 requests, 2 are counted", func(_ *world, c *channel) { c.producers.tail = c.producers.head }},
		{"without its two sides", func(_ *world, c *channel) {
			c.running = &Exchange{Producer: c.producers.head, Consumer: c.producers.tail}
		}},
		{"1 exchanges run, 0 are counted", func(_ *world, c *channel) {
			c.running = &Exchange{Producer: &Request{state: running}, Consumer: &Request{state: running}}
		}},
		{"2 producers wait, 3 are counted", func(w *world, _ *channel) { w.broker.producers++ }},
		{"all waiting requests: its links are broken", func(w *world, _ *channel) { w.broker.waiting.tail.places[brokerQueue].previous = nil }},
		{"all running exchanges: it contains a waiting producer", func(w *world, _ *channel) { w.broker.running.push(&Request{Arrival: Arrival{Role: Producer}}) }},
	}
	for _, test := range tests {
		t.Run(test.finds, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				p := w.produce("p1")
				w.produce("p2")
				c, sound := p.request.channel, *p.request.channel
				heads := [2]Request{*c.producers.head, *c.producers.tail}
				producers, running := w.broker.producers, w.broker.running
				test.spoil(w, c)
				if err := w.broker.check(); err == nil || !strings.Contains(err.Error(), test.finds) {
					t.Errorf("check = %v, want it to find %q", err, test.finds)
				}
				*c, *sound.producers.head, *sound.producers.tail = sound, heads[0], heads[1]
				w.broker.producers, w.broker.running = producers, running
				delete(w.broker.namespaces, "empty")
			})
		})
	}
}
