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

// The soak test loads a server with clients of all kinds, injects faults, and then checks the audit log.
//
// Clients (client_test.go) carry out random plans (plan_test.go), well-behaved or not, and record what they saw. So do those of
// services (service_test.go) and topics (topic_test.go), which have checks of their own. Meanwhile the server (relay_test.go)
// is stopped, killed, restarted, and its disk fills up (fault_test.go). The test runs in rounds. At the end of each round all
// clients stop, and a checker compares their records with the audit log: the invariants are in check_test.go and log_test.go.
// By then the server must have released its memory and descriptors (round_test.go).
//
// `go test` runs a short form, `scripts/soak 20m` a long one. `scripts/soak --planted` shows that the checker finds bugs
// (planted_test.go).

var (
	soakFlag = flag.Duration("soak", 0, "how long TestSoak runs; 0: a short form")
	seedFlag = flag.Uint64("soak.seed", 0, "seed of the random plans of TestSoak's clients; 0: a new one")
)

const (
	soakClients = 64
	shortSoak   = 9 * time.Second
	roundTime   = time.Minute
)

func TestSoak(t *testing.T) {
	program := kit.Binary(t)
	s := newSoakRun(t, program)
	s.run(max(*soakFlag, shortSoak))
	s.findings.report(t)
	t.Log(s.figures())
}

// A soakRun is the state of one soak test.
type soakRun struct {
	t        *testing.T
	relay    *relay
	seed     uint64
	tokens   tokens
	http     *http.Client
	findings *findings
	acks     chan struct{} // receives when a producer gets a 200, if anything is waiting; never closed

	requests, unconnected atomic.Int64
	topicRequests         atomic.Int64 // in all rounds: the log names publishers and subscribers by these numbers

	mu        sync.Mutex // guards deletions and delays
	deletions []deletion
	delays    []span  // times in which the server was frozen or this machine too busy
	notes     []*note // of the clients of departures

	// Totals of all rounds.
	checked    mark // how far the log has been checked
	outcomes   map[string]int
	rounds     int
	exchanges  int
	bytes      int64
	deleted    int
	departures int
	late       time.Duration // all delays
	memories   []int64       // of the current process after each round
}

func newSoakRun(t *testing.T, program string) *soakRun {
	s := &soakRun{
		t:        t,
		seed:     *seedFlag,
		findings: newFindings(),
		acks:     make(chan struct{}),
		outcomes: make(map[string]int),
	}
	s.tokens = s.makeTokens()
	s.http = &http.Client{Timeout: capTime, Transport: tokenTransport{&http.Transport{MaxIdleConnsPerHost: soakClients}, s.tokens[""]}}
	s.relay = newRelay(t, program, s.findings)
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	t.Logf("-soak.seed %d", s.seed)
	return s
}

// run runs the soak test for that long.
func (s *soakRun) run(d time.Duration) {
	rng := rand.New(rand.NewPCG(s.seed, 0))
	s.start()
	rounds := max(1, int(d/roundTime))
	for n := range rounds {
		var faults []fault
		switch {
		case rounds == 1:
			faults = []fault{leaveFrozenServer, killServer, fillDisk, leaveFrozenServer, restart}
		case n >= rounds*3/4: // the last process gets a quarter of the time, which tells a leak from initial growth
			faults = []fault{fillDisk, leaveFrozenServer, leaveFrozenServer}
		default:
			faults = []fault{killServer, restart, killServer, leaveFrozenServer, stopAtOnce, fillDisk, leaveFrozenServer, killWithFullDisk}
			rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		s.round(rng, d/time.Duration(rounds), faults)
		if s.rounds++; s.findings.any() {
			return
		}
	}
	s.relay.terminate(false)
	s.checkEnd()
}

// round runs the clients for that long, injects the faults at equal intervals, and checks the result.
func (s *soakRun) round(rng *rand.Rand, d time.Duration, faults []fault) {
	stop, over := make(chan struct{}), make(chan struct{})
	var atWork, watching sync.WaitGroup
	watching.Go(func() { s.recordDelays(over) })
	clients := make([]*client, soakClients)
	for i := range clients {
		c := &client{run: s, rng: rand.New(rand.NewPCG(s.seed, rng.Uint64()))}
		clients[i] = c
		atWork.Go(func() { c.live(stop) })
	}
	services := &services{run: s, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * serviceWorkers}}}
	services.start(rng, &atWork, stop)
	topics := &topics{run: s, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	topics.start(rng, &atWork, stop)
	start, pause := time.Now(), d/time.Duration(len(faults)+1)
	for i, fault := range faults {
		time.Sleep(time.Until(start.Add(time.Duration(i+1) * pause)))
		fault(s, rng)
	}
	time.Sleep(time.Until(start.Add(d)))
	close(stop)
	s.endRequests(&atWork, services)
	services.http.CloseIdleConnections()
	close(over)
	watching.Wait()
	notes := s.notes
	s.notes = nil
	for _, c := range clients {
		notes = append(notes, c.notes...)
	}
	s.settle()
	s.check(notes, services, topics)
	s.checkLeaks()
}

// endRequests deletes all channels and services until the clients have ended their requests, most of which are waiting.
func (s *soakRun) endRequests(atWork *sync.WaitGroup, v *services) {
	ended := make(chan struct{})
	go func() {
		atWork.Wait()
		close(ended)
	}()
	for rest(100*time.Millisecond, ended) {
		for _, namespace := range []string{"soak-a/", "soak-b/", "soak-c/"} {
			s.delete(namespace)
		}
		v.delete()
	}
}

// delete deletes a channel or a namespace.
func (s *soakRun) delete(name string) {
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

// settle waits until the server has no waiting requests, and has recorded all that ended.
func (s *soakRun) settle() {
	s.http.CloseIdleConnections()
	state := ""
	for deadline := time.Now().Add(kit.Patience); state != "{}"; {
		if time.Now().After(deadline) {
			s.findings.add("leaks", "all clients have left, and the server still has %s", state)
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
	// Rows are written in order: when a producer gets its 200, all earlier rows are on disk.
	c := &client{run: s}
	over := make(chan bool)
	go func() {
		consumer := &client{run: s}
		over <- consumer.do(plan{role: "consumer", channel: lastChannel, wait: -1, patience: capTime, piece: 1})
	}()
	c.do(plan{role: "producer", channel: lastChannel, wait: -1, patience: capTime, size: numberLength, piece: numberLength})
	<-over
	if len(c.notes) == 0 || c.notes[0].status != http.StatusOK {
		s.findings.add("leaks", "the server no longer delivers: %v", c.notes)
	}
}

// lastChannel is the channel of the exchange that ends a round.
const lastChannel = "soak-d/last"

// figures summarizes the run.
func (s *soakRun) figures() string {
	killed := 0
	for _, process := range s.relay.processes {
		if process.killed {
			killed++
		}
	}
	text := fmt.Sprintf("%d requests (and %d failed connections), %d exchanges, %d MB relayed, %d departures, %d deletes, %d full disks, %d processes of which %d were killed; clocks unreliable for %v\n",
		s.requests.Load(), s.unconnected.Load(), s.exchanges, s.bytes>>20, s.departures, s.deleted, len(s.relay.outages), len(s.relay.processes), killed, s.late.Round(time.Millisecond))
	for _, outcome := range slices.Sorted(maps.Keys(s.outcomes)) {
		text += fmt.Sprintf("  %-24s %d\n", outcome, s.outcomes[outcome])
	}
	if !s.findings.any() {
		return text
	}
	for _, process := range s.relay.processes {
		text += fmt.Sprintf("  %v, ended %s\n", process, clock(process.ended))
	}
	for _, o := range s.relay.outages {
		text += fmt.Sprintf("  disk full from %s to %s\n", clock(o.began), clock(o.over))
	}
	return text
}
