//go:build linux

package main

import (
	"fmt"
	"time"
)

// loads are those whose rate and cost are measured.
var loads = []load{
	{pairs: 1, size: 5}, {pairs: 16, size: 5}, {pairs: 64, size: 5}, {pairs: 256, size: 5},
	{pairs: 1, size: 4096}, {pairs: 16, size: 4096}, {pairs: 64, size: 4096}, {pairs: 256, size: 4096},
	{pairs: 64, size: 5, fresh: true},
}

// typical is the load by which the targets are judged.
var typical = load{pairs: 64, size: 5}

func (l load) String() string {
	channels := fmt.Sprintf("%d channels", l.pairs)
	if l.pairs == 1 {
		channels = "1 channel"
	}
	if l.fresh {
		channels = fmt.Sprintf("%d at a time, each on a new channel", l.pairs)
	}
	if l.size >= 1024 {
		return fmt.Sprintf("%s, %d KB", channels, l.size/1024)
	}
	return fmt.Sprintf("%s, %d B", channels, l.size)
}

// exchanges measures the rate of exchanges and what one costs the server.
func (b *bench) exchanges() error {
	rates := b.table("Exchanges per second", "load")
	costs := b.table("Processor time of the server per exchange, in µs", "load")
	own := b.table("The same, of the load generator", "load")
	servers, err := b.start(b.relays, bare, naive)
	if err != nil {
		return err
	}
	defer kill(servers)
	for _, l := range loads {
		if err := b.exchangesUnder(l, servers, rates, costs, own); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

// A meter is a server under a load. What it does after its turn, such as copying the WAL, is counted too: its processor time runs
// from the beginning of a turn to the beginning of the next.
type meter struct {
	*server
	fleet *fleet
	spent time.Duration // processor time at the beginning of its turn
	last  *tally        // of its turn
}

func (b *bench) exchangesUnder(l load, servers []*server, rates, costs, own *table) error {
	var meters []*meter
	defer func() {
		for _, m := range meters {
			m.fleet.close()
		}
	}()
	for _, s := range servers {
		if l.fresh && s.kind == aReference {
			continue // bare has no channels, and naive forgets none
		}
		l.fixed = s.name == bare
		f, err := newFleet(s.addr, l)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		meters = append(meters, &meter{server: s, fleet: f})
	}
	row := l.String()
	for round := range b.rounds + 2 { // the first only warms up, the last only ends the one before
		for i := range meters {
			m := meters[(i+round)%len(meters)]
			spent, err := m.processorTime()
			if err != nil {
				return err
			}
			if round > 1 {
				costs.add(row, m.name, perExchange(spent-m.spent, m.last))
			}
			m.spent = spent
			if round > b.rounds {
				continue
			}
			before := ownProcessorTime()
			if m.last, err = m.fleet.run(b.turn, 0, false); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if round > 0 {
				rates.add(row, m.name, float64(m.last.exchanges)/m.last.elapsed.Seconds())
				own.add(row, m.name, perExchange(ownProcessorTime()-before, m.last))
			}
		}
	}
	return nil
}

func perExchange(spent time.Duration, t *tally) float64 {
	return float64(spent.Nanoseconds()) / 1000 / float64(t.exchanges)
}
