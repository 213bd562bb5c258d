//go:build linux

package main

import (
	"fmt"
	"time"
)

// loads are those whose rate and cost are measured.
var loads = []load{
	{pairs: 1, size: 5}, {pairs: 4, size: 5}, {pairs: 16, size: 5}, {pairs: 64, size: 5}, {pairs: 256, size: 5}, {pairs: 1000, size: 5},
	{pairs: 64, size: 4096},
	{pairs: 64, size: 5, fresh: true},
}

// typical is the load of what is measured under one load only.
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
	rates := b.table(titleRates, "load")
	costs := b.table(titleCosts, "load")
	own := b.table("The same, of the load generator", "load")
	servers, err := b.start(b.relays, floor, naive)
	if err != nil {
		return err
	}
	defer kill(servers)
	for _, l := range loads {
		under := servers
		if l.fresh {
			under = servers[:len(servers)-1] // naive forgets no channel
		}
		if err := b.exchangesUnder(l, under, rates, costs, own); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

// exchangesUnder measures one load. A server's processor time runs from the beginning of its turn to the beginning of its next,
// so that what it does afterwards, such as copying the WAL, is counted too.
func (b *bench) exchangesUnder(l load, servers []*server, rates, costs, own *table) error {
	meters, err := newMeters(servers, l)
	defer closeMeters(meters)
	if err != nil {
		return err
	}
	row := l.String()
	err = turns(b.rounds, meters, func(round int, m *meter) error {
		spent, err := m.lap()
		if err != nil {
			return err
		}
		if round > 1 {
			costs.add(row, m.name, m.last.each(spent))
		}
		before := ownProcessorTime()
		if m.last, err = m.fleet.run(b.turn, 0, false); err != nil || round == warmUp {
			return err
		}
		rates.add(row, m.name, m.last.rate())
		own.add(row, m.name, m.last.each(ownProcessorTime()-before))
		return nil
	})
	if err != nil {
		return err
	}
	time.Sleep(b.turn * time.Duration(len(meters)-1)) // as long as the others' turns take
	for _, m := range meters {
		spent, err := m.lap()
		if err != nil {
			return err
		}
		costs.add(row, m.name, m.last.each(spent))
	}
	return nil
}

// A meter is a server and the fleet that puts it under load.
type meter struct {
	*server
	fleet *fleet
	last  *tally        // of its last turn
	spent time.Duration // processor time at the last lap
}

// newMeters connects a fleet to each server. The caller closes the meters, also after an error.
func newMeters(servers []*server, l load) (meters []*meter, err error) {
	for _, s := range servers {
		f, err := newFleet(s.addr, l)
		if err != nil {
			return meters, fmt.Errorf("%s: %w", s.name, err)
		}
		meters = append(meters, &meter{server: s, fleet: f})
	}
	return meters, nil
}

func closeMeters(meters []*meter) {
	for _, m := range meters {
		m.fleet.close()
	}
}

// lap returns the server's processor time since the last call.
func (m *meter) lap() (time.Duration, error) {
	spent, err := m.processorTime()
	spent, m.spent = spent-m.spent, spent
	return spent, err
}

// warmUp is the round before the first one that counts.
const warmUp = 0

// turns calls f for each of the things in each round, from warmUp to the given number, and lets another be the first each
// time.
func turns[T fmt.Stringer](rounds int, things []T, f func(round int, thing T) error) error {
	for round := range rounds + 1 {
		for i := range things {
			thing := things[(round+i)%len(things)]
			if err := f(round, thing); err != nil {
				return fmt.Errorf("%s: %w", thing, err)
			}
		}
	}
	return nil
}
