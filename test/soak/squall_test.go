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

// A squall is something that happens to the server in a storm.
type squall func(*storm, *rand.Rand)

// killed is a SIGKILL at the moment when a producer has just been told of a delivery.
func killed(s *storm, _ *rand.Rand) {
	s.awaitAck()
	s.relay.kill(time.Time{})
	s.start()
}

func restarted(s *storm, _ *rand.Rand) {
	s.relay.terminate(false)
	s.start()
}

// hurried is a restart with a second signal.
func hurried(s *storm, _ *rand.Rand) {
	s.relay.terminate(true)
	s.start()
}

func diskFull(s *storm, rng *rand.Rand) {
	if s.relay.small {
		began := s.relay.fill()
		time.Sleep(between(rng, 100*time.Millisecond, time.Second))
		s.relay.free()
		s.relay.recovered(began)
	}
}

func killedWithFullDisk(s *storm, rng *rand.Rand) {
	if s.relay.small {
		began := s.relay.fill()
		time.Sleep(between(rng, 100*time.Millisecond, time.Second))
		s.relay.kill(began)
		s.relay.free()
		s.start()
		s.relay.recovered(began)
	}
}

// An ambush is two clients on a channel of their own. The victim waits there, and hangs up; at that moment
// the other comes.
type ambush struct {
	victim, other *client
	plans         [2]plan
}

func (s *storm) newAmbush(rng *rand.Rand) *ambush {
	s.ambushes++
	channel := fmt.Sprintf("soak-c/quick-ambush%d", s.ambushes)
	roles := []string{"producer", "consumer"}
	first := rng.IntN(2)
	a := &ambush{victim: &client{storm: s}, other: &client{storm: s}}
	a.plans = [2]plan{draw(rng, channel, roles[first]), draw(rng, channel, roles[1-first])}
	victim, other := &a.plans[0], &a.plans[1]
	victim.wait, victim.patience, victim.cue, victim.gone = -1, capTime, make(chan struct{}), make(chan struct{})
	other.wait, other.patience, other.out = 200*time.Millisecond, capTime, make(chan struct{})
	return a
}

// ambushed freezes the server while the victims hang up and the others come, so that it finds all that at once when it
// goes on. The others come in the opposite order: it hears of the first of them before it hears that his victim has left.
func ambushed(s *storm, rng *rand.Rand) {
	ambushes := make([]*ambush, 32)
	var clients sync.WaitGroup
	for i := range ambushes {
		a := s.newAmbush(rng)
		ambushes[i] = a
		a.other.connect(a.plans[1])
		clients.Go(func() { a.victim.do(a.plans[0]) })
		s.shown(a.plans[0].channel)
	}
	server, frozen := s.relay.reign().cmd.Process, time.Now()
	server.Signal(syscall.SIGSTOP)
	for _, a := range ambushes {
		close(a.plans[0].cue)
	}
	for _, a := range ambushes {
		<-a.plans[0].gone
	}
	for _, a := range slices.Backward(ambushes) {
		clients.Go(func() { a.other.do(a.plans[1]) })
		<-a.plans[1].out
	}
	server.Signal(syscall.SIGCONT)
	s.hiccup(span{frozen, time.Now()})
	clients.Wait()
	for _, a := range ambushes {
		s.notes = append(append(s.notes, a.victim.notes...), a.other.notes...)
		a.victim.close()
		a.other.close()
	}
}

func (s *storm) start() {
	s.relay.start()
	s.memories = nil
}

// awaitAck returns when a producer has just got its 200.
func (s *storm) awaitAck() {
	select {
	case <-s.acks:
	case <-time.After(5 * time.Second):
	}
}

// acknowledged is called by clients whose message is delivered.
func (s *storm) acknowledged() {
	select {
	case s.acks <- struct{}{}:
	default:
	}
}

// shown reports whether the server knows of somebody who waits on the channel; it waits for that.
func (s *storm) shown(channel string) bool {
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

// feelPulse notes when this machine is too busy for clocks to tell who is late.
func (s *storm) feelPulse(over <-chan struct{}) {
	const beat, late = 10 * time.Millisecond, 50 * time.Millisecond
	for began := time.Now(); rest(beat, over); began = time.Now() {
		if now := time.Now(); now.Sub(began) > late {
			s.hiccup(span{began, now})
		}
	}
}

func (s *storm) hiccup(h span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hiccups = append(s.hiccups, h)
}
