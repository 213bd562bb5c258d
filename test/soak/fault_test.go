//go:build linux

package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A fault does something to the server while clients use it.
type fault func(*soakRun, *rand.Rand)

// killServer sends SIGKILL just after a producer got its 200.
func killServer(s *soakRun, _ *rand.Rand) {
	s.awaitAck()
	s.relay.kill(time.Time{})
	s.start()
}

// restart stops the server with SIGTERM and starts it again.
func restart(s *soakRun, _ *rand.Rand) {
	s.relay.terminate(false)
	s.start()
}

// stopAtOnce is restart with a second signal.
func stopAtOnce(s *soakRun, _ *rand.Rand) {
	s.relay.terminate(true)
	s.start()
}

// fillDisk fills the disk for up to a second.
func fillDisk(s *soakRun, rng *rand.Rand) {
	if s.relay.small {
		began := s.relay.fill()
		time.Sleep(between(rng, 100*time.Millisecond, time.Second))
		s.relay.free()
		s.relay.recovered(began)
	}
}

// killWithFullDisk kills the server while the disk is full.
func killWithFullDisk(s *soakRun, rng *rand.Rand) {
	if s.relay.small {
		began := s.relay.fill()
		time.Sleep(between(rng, 100*time.Millisecond, time.Second))
		s.relay.kill(began)
		s.relay.free()
		s.start()
		s.relay.recovered(began)
	}
}

// A departure is two clients on a channel of their own. The leaver waits there and hangs up; at that moment the arriver
// comes, which must not be matched with the leaver.
type departure struct {
	leaver, arriver *client
	plans           [2]plan
}

func (s *soakRun) newDeparture(rng *rand.Rand) *departure {
	s.departures++
	channel := fmt.Sprintf("soak-c/quick-departure%d", s.departures)
	roles := []string{"producer", "consumer"}
	first := rng.IntN(2)
	a := &departure{leaver: &client{run: s}, arriver: &client{run: s}}
	a.plans = [2]plan{draw(rng, channel, roles[first]), draw(rng, channel, roles[1-first])}
	leaver, arriver := &a.plans[0], &a.plans[1]
	leaver.wait, leaver.patience, leaver.cue, leaver.gone = -1, capTime, make(chan struct{}), make(chan struct{})
	arriver.wait, arriver.patience, arriver.out = 200*time.Millisecond, capTime, make(chan struct{})
	return a
}

// leaveFrozenServer freezes the server while the leavers hang up and the arrivers come, so that it sees all of this at once
// when it continues. The arrivers come in the opposite order, so that the server sees the first of them before it sees that
// the leaver of the same channel has left.
func leaveFrozenServer(s *soakRun, rng *rand.Rand) {
	departures := make([]*departure, 32)
	var clients sync.WaitGroup
	for i := range departures {
		a := s.newDeparture(rng)
		departures[i] = a
		a.arriver.connect(a.plans[1])
		clients.Go(func() { a.leaver.do(a.plans[0]) })
		s.awaitWaiter(a.plans[0].channel)
	}
	server, frozen := s.relay.current().cmd.Process, time.Now()
	server.Signal(syscall.SIGSTOP)
	for _, a := range departures {
		close(a.plans[0].cue)
	}
	for _, a := range departures {
		<-a.plans[0].gone
	}
	for _, a := range slices.Backward(departures) {
		clients.Go(func() { a.arriver.do(a.plans[1]) })
		<-a.plans[1].out
	}
	server.Signal(syscall.SIGCONT)
	s.delay(span{frozen, time.Now()})
	clients.Wait()
	for _, a := range departures {
		s.notes = append(append(s.notes, a.leaver.notes...), a.arriver.notes...)
		a.leaver.close()
		a.arriver.close()
	}
}

func (s *soakRun) start() {
	s.relay.start()
	s.memories = nil
}

// awaitAck waits for a producer to get its 200, for at most 5 s.
func (s *soakRun) awaitAck() {
	select {
	case <-s.acks:
	case <-time.After(5 * time.Second):
	}
}

// acknowledged wakes awaitAck. A client calls it when its message is delivered.
func (s *soakRun) acknowledged() {
	select {
	case s.acks <- struct{}{}:
	default:
	}
}

// awaitWaiter waits until the server shows a waiting request on the channel, and reports whether it does within a second.
func (s *soakRun) awaitWaiter(channel string) bool {
	for start := time.Now(); time.Since(start) < time.Second; {
		resp, err := s.http.Head("http://" + s.relay.addr + "/channels/" + channel)
		if err != nil {
			return false
		}
		resp.Body.Close()
		if resp.Header.Get("Httpipe-Producers") == "1" || resp.Header.Get("Httpipe-Consumers") == "1" {
			return true
		}
	}
	return false
}

// recordDelays records when this machine is too busy to judge by the clock.
func (s *soakRun) recordDelays(over <-chan struct{}) {
	const interval, late = 10 * time.Millisecond, 50 * time.Millisecond
	for began := time.Now(); rest(interval, over); began = time.Now() {
		if now := time.Now(); now.Sub(began) > late {
			s.delay(span{began, now})
		}
	}
}

func (s *soakRun) delay(h span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays = append(s.delays, h)
}
