//go:build linux

package soak

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/test/kit"
)

// The soak is a storm of all that can happen to a relay, and a look at the books afterwards.
//
// Clients (client_test.go) do what clients do (plan_test.go), well-behaved and not, and write down what they saw.
// Meanwhile the server (relay_test.go) is stopped, killed and started again, and its disk gets full. The storm comes in
// rounds. After each there is a calm, in which a checker holds the clients' notes against the audit log: the invariants
// are in check_test.go. What the server had in use must be free again by then.
//
// Plain `go test` runs a short one; `scripts/soak 20m` a real one; `scripts/soak --planted` proves that the checker
// sees bugs (planted_test.go).

var (
	soakFlag = flag.Duration("soak", 0, "how long TestSoak runs; 0: a short form")
	seedFlag = flag.Uint64("soak.seed", 0, "what TestSoak's clients draw their plans from; 0: something new")
)

const (
	soakClients = 64
	shortSoak   = 9 * time.Second
	roundTime   = time.Minute
)

func TestSoak(t *testing.T) {
	program := kit.Binary(t)
	s := newStorm(t, program)
	s.run(max(*soakFlag, shortSoak))
	s.findings.report(t)
	t.Log(s.figures())
}

// A storm is a soak in progress.
type storm struct {
	t        *testing.T
	relay    *relay
	seed     uint64
	badges   badges
	http     *http.Client
	findings *findings
	acks     chan struct{} // whoever waits here is told of the next 200 that a producer gets; never closed

	requests, unheard atomic.Int64

	mu        sync.Mutex // guards deletions and hiccups
	deletions []deletion
	hiccups   []span  // in which the server could do nothing, or this machine was too busy
	notes     []*note // of clients that are part of a squall

	// Since the beginning.
	checked   mark // up to where the log is
	outcomes  map[string]int
	rounds    int
	exchanges int
	bytes     int64
	deleted   int
	ambushes  int
	late      time.Duration // all hiccups
	memories  []int64       // of the current process after each round
}

func newStorm(t *testing.T, program string) *storm {
	s := &storm{
		t:        t,
		seed:     *seedFlag,
		findings: newFindings(),
		acks:     make(chan struct{}),
		outcomes: make(map[string]int),
	}
	s.badges = s.makeBadges()
	s.http = &http.Client{Timeout: capTime, Transport: visitor{&http.Transport{MaxIdleConnsPerHost: soakClients}, s.badges[""]}}
	s.relay = newRelay(t, program, s.findings)
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	t.Logf("-soak.seed %d", s.seed)
	return s
}

// run lets it storm for that long.
func (s *storm) run(d time.Duration) {
	rng := rand.New(rand.NewPCG(s.seed, 0))
	s.start()
	rounds := max(1, int(d/roundTime))
	for n := range rounds {
		var squalls []squall
		switch {
		case rounds == 1:
			squalls = []squall{ambushed, killed, diskFull, ambushed, restarted}
		case n >= rounds*3/4: // the last process has a quarter of the time, so that leaks can be told from growth
			squalls = []squall{diskFull, ambushed, ambushed}
		default:
			squalls = []squall{killed, restarted, killed, ambushed, hurried, diskFull, ambushed, killedWithFullDisk}
			rng.Shuffle(len(squalls), func(i, j int) { squalls[i], squalls[j] = squalls[j], squalls[i] })
		}
		s.round(rng, d/time.Duration(rounds), squalls)
		if s.rounds++; s.findings.any() {
			return
		}
	}
	s.relay.terminate(false)
	s.checkEnd()
}

// round lets it storm for that long, and checks.
func (s *storm) round(rng *rand.Rand, d time.Duration, squalls []squall) {
	calm, over := make(chan struct{}), make(chan struct{})
	var storming, pulse sync.WaitGroup
	pulse.Go(func() { s.feelPulse(over) })
	clients := make([]*client, soakClients)
	for i := range clients {
		c := &client{storm: s, rng: rand.New(rand.NewPCG(s.seed, rng.Uint64()))}
		clients[i] = c
		storming.Go(func() { c.live(calm) })
	}
	start, pause := time.Now(), d/time.Duration(len(squalls)+1)
	for i, squall := range squalls {
		time.Sleep(time.Until(start.Add(time.Duration(i+1) * pause)))
		squall(s, rng)
	}
	time.Sleep(time.Until(start.Add(d)))
	close(calm)
	s.sendHome(&storming)
	close(over)
	pulse.Wait()
	notes := s.notes
	s.notes = nil
	for _, c := range clients {
		notes = append(notes, c.notes...)
	}
	s.settle()
	s.check(notes)
	s.checkLeaks()
}

// sendHome ends what the clients still do, which is mostly to wait, with deletions.
func (s *storm) sendHome(storming *sync.WaitGroup) {
	home := make(chan struct{})
	go func() {
		storming.Wait()
		close(home)
	}()
	for rest(100*time.Millisecond, home) {
		for _, namespace := range []string{"soak-a/", "soak-b/", "soak-c/"} {
			s.delete(namespace)
		}
	}
}

// delete deletes a channel, or a namespace.
func (s *storm) delete(name string) {
	req, err := http.NewRequest(http.MethodDelete, "http://"+s.relay.addr+"/channels/"+name, nil)
	if err != nil {
		panic(err)
	}
	d := deletion{name: name, asked: time.Now()}
	resp, err := s.http.Do(req)
	if err != nil {
		return
	}
	resp.Body.Close()
	d.answered = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deletions = append(s.deletions, d)
	s.deleted++
}

// settle waits until the server knows that nobody is left, and has that on record.
func (s *storm) settle() {
	s.http.CloseIdleConnections()
	state := ""
	for deadline := time.Now().Add(10 * time.Second); state != "{}"; {
		if time.Now().After(deadline) {
			s.findings.add("leaks", "everybody has left, and there still is %s", state)
			break
		}
		resp, err := s.http.Get("http://" + s.relay.addr + "/state")
		if err != nil {
			s.t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		state = strings.TrimSpace(string(body))
	}
	// Rows are written in order, so those before an exchange are on disk when its producer has a 200.
	c := &client{storm: s}
	over := make(chan bool)
	go func() {
		consumer := &client{storm: s}
		over <- consumer.do(plan{role: "consumer", channel: lastChannel, wait: -1, patience: capTime, piece: 1})
	}()
	c.do(plan{role: "producer", channel: lastChannel, wait: -1, patience: capTime, size: numberLength, piece: numberLength})
	<-over
	if len(c.notes) == 0 || c.notes[0].status != http.StatusOK {
		s.findings.add("leaks", "nothing can be delivered any more: %v", c.notes)
	}
}

// lastChannel is what the exchange is on that ends a round.
const lastChannel = "soak-d/last"

// figures tell what there was.
func (s *storm) figures() string {
	killed := 0
	for _, reign := range s.relay.reigns {
		if reign.killed {
			killed++
		}
	}
	text := fmt.Sprintf("%d requests (%d more found nobody listening), %d exchanges, %d MB relayed, %d ambushes, %d deletes, %d full disks, %d processes of which %d were killed; clocks told nothing for %v\n",
		s.requests.Load(), s.unheard.Load(), s.exchanges, s.bytes>>20, s.ambushes, s.deleted, len(s.relay.outages), len(s.relay.reigns), killed, s.late.Round(time.Millisecond))
	for _, outcome := range slices.Sorted(maps.Keys(s.outcomes)) {
		text += fmt.Sprintf("  %-24s %d\n", outcome, s.outcomes[outcome])
	}
	if !s.findings.any() {
		return text
	}
	for _, reign := range s.relay.reigns {
		text += fmt.Sprintf("  %v, ended %s\n", reign, clock(reign.ended))
	}
	for _, o := range s.relay.outages {
		text += fmt.Sprintf("  disk full from %s to %s\n", clock(o.began), clock(o.over))
	}
	return text
}
