//go:build linux

package soak

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Callers and workers of services. The request of a call is the message of its number, and so is each answer to it, of a
// size that the worker chooses. So a caller can tell whether it got an answer to its own request, and which one.

const (
	serviceCallers = 8
	serviceWorkers = 6
	replyLimit     = time.Second // --reply-timeout
)

var soakServices = []string{"soak-s/service0", "soak-s/service1"}

// A serviceCall is what a caller knows about its call.
type serviceCall struct {
	number      int
	begun, done time.Time
	left        bool // it hung up
	status      int
	code        string
	answer      []byte
	err         error // why there was no answer, or not all of it
}

// A serviceWork is what a worker knows about a request that it took.
type serviceWork struct {
	number   int
	exchange string // the id of the request
	wrong    bool   // it was not the message of that number
	taken    time.Time
	answers  []serviceAnswer
}

type serviceAnswer struct {
	size   int
	broken bool // the worker broke it off
	status int  // what the worker was told; 0: nothing
	told   time.Time
}

// services are the callers and workers of a round.
type services struct {
	run  *soakRun
	http *http.Client

	calls, strangers atomic.Int64 // strangers are answers to calls that never were

	mu        sync.Mutex // guards the rest
	called    []*serviceCall
	worked    []*serviceWork
	deletions []time.Time
}

// start lets clients call and work until stop is closed.
func (v *services) start(rng *rand.Rand, atWork *sync.WaitGroup, stop <-chan struct{}) {
	for i := range serviceCallers + serviceWorkers {
		rng := rand.New(rand.NewPCG(v.run.seed, rng.Uint64()))
		act := v.call
		if i >= serviceCallers {
			act = v.work
		}
		atWork.Go(func() {
			for !isClosed(stop) {
				if !act(rng, soakServices[rng.IntN(len(soakServices))]) {
					rest(20*time.Millisecond, stop) // the server is down
				}
				if chance(rng, 50) {
					rest(between(rng, time.Microsecond, 20*time.Millisecond), stop)
				}
			}
		})
	}
}

// send sends a request in a role. It returns an error unless the whole response has arrived within capTime.
func (v *services) send(ctx context.Context, role, method, target string, body io.Reader, headers ...string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, capTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+v.run.relay.addr+target, body)
	if err != nil {
		return nil, nil, err
	}
	r.SetBasicAuth("", v.run.tokens[role])
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return response, got, err
}

// serviceSize draws the size of a request or an answer.
func serviceSize(rng *rand.Rand) int {
	return numberLength + []int{0, 100, 3000, 60 << 10, 300 << 10}[rng.IntN(5)]
}

// call makes a call. It returns false if the server does not accept connections.
func (v *services) call(rng *rand.Rand, service string) bool {
	patience := capTime
	if chance(rng, 20) {
		patience = between(rng, time.Millisecond, 300*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := &serviceCall{number: int(v.calls.Add(1)), begun: time.Now()}
	body := appendMessage(nil, c.number, 0, int64(serviceSize(rng)))
	response, answer, err := v.send(ctx, "producer", "POST", "/services/"+service+"/path?query", bytes.NewReader(body))
	c.done, c.answer, c.err, c.left = time.Now(), answer, err, ctx.Err() != nil
	if response != nil {
		c.status, c.code = response.StatusCode, response.Header.Get("Httpipe-Error")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.called = append(v.called, c)
	return response != nil || c.left
}

// work takes a request and answers it, well or badly. It returns false if the server does not accept connections.
func (v *services) work(rng *rand.Rand, service string) bool {
	ctx := context.Background()
	if chance(rng, 3) {
		v.strange(ctx, rng, service)
	}
	response, body, err := v.send(ctx, "consumer", "GET", "/work/"+service+"?wait=500ms", nil)
	if err != nil || response.StatusCode != http.StatusOK {
		return response != nil
	}
	w := &serviceWork{exchange: response.Header.Get("Httpipe-Exchange"), taken: time.Now()}
	number, err := strconv.ParseInt(string(body[:min(len(body), numberLength)]), 36, 64)
	w.number = int(number)
	w.wrong = err != nil || !bytes.Equal(body, appendMessage(nil, w.number, 0, int64(len(body))))
	v.mu.Lock()
	v.worked = append(v.worked, w)
	v.mu.Unlock()
	reply := response.Header.Get("Httpipe-Reply")
	switch rng.IntN(20) {
	case 0: // it hangs up without an answer
	case 1:
		v.answer(ctx, rng, w, reply, true)
	case 2: // its answer may come too late
		time.Sleep(between(rng, replyLimit/2, replyLimit*3/2))
		v.answer(ctx, rng, w, reply, false)
	case 3, 4: // it answers twice at the same time
		var both sync.WaitGroup
		another := rand.New(rand.NewPCG(rng.Uint64(), 0))
		both.Go(func() { v.answer(ctx, another, w, reply, false) })
		v.answer(ctx, rng, w, reply, false)
		both.Wait()
	case 5, 6: // or one after the other
		v.answer(ctx, rng, w, reply, false)
		v.answer(ctx, rng, w, reply, false)
	default:
		v.answer(ctx, rng, w, reply, false)
	}
	return true
}

// answer answers a request.
func (v *services) answer(ctx context.Context, rng *rand.Rand, w *serviceWork, reply string, broken bool) {
	a := serviceAnswer{size: serviceSize(rng), broken: broken}
	var body io.Reader = bytes.NewReader(appendMessage(nil, w.number, 0, int64(a.size)))
	if broken {
		body = io.MultiReader(io.LimitReader(body, int64(rng.IntN(a.size))), failingReader{})
	} else if chance(rng, 40) {
		body = io.MultiReader(body) // of unknown length, so it goes in chunks
	}
	response, _, err := v.send(ctx, "consumer", "POST", reply, body, "Httpipe-Status", "201")
	a.told = time.Now()
	if err == nil {
		a.status = response.StatusCode
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	w.answers = append(w.answers, a)
}

// strange answers a call that never was.
func (v *services) strange(ctx context.Context, rng *rand.Rand, service string) {
	response, _, err := v.send(ctx, "consumer", "POST", fmt.Sprintf("/work/%s/%022d", service, rng.Uint64()), bytes.NewReader(appendMessage(nil, 0, 0, 100)))
	if err == nil && response.StatusCode == http.StatusOK {
		v.strangers.Add(1)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the worker breaks off") }

// delete ends the services.
func (v *services) delete() {
	v.mu.Lock()
	v.deletions = append(v.deletions, time.Now())
	v.mu.Unlock()
	for _, service := range soakServices {
		if r, err := http.NewRequest(http.MethodDelete, "http://"+v.run.relay.addr+"/work/"+service, nil); err == nil {
			if response, err := v.run.http.Do(r); err == nil {
				response.Body.Close()
			}
		}
	}
}

// check compares what callers, workers and the log know of each call.
func (v *services) check(db *sql.DB, h *history, report func(string, ...any)) {
	works := make(map[int]*serviceWork)
	for _, w := range v.worked {
		switch {
		case w.wrong:
			report("a worker got what no caller sent: %+v", *w)
		case works[w.number] != nil:
			report("two workers got the request of one call: %+v, %+v", *works[w.number], *w)
		}
		works[w.number] = w
	}
	if n := v.strangers.Load(); n > 0 {
		report("%d answers to calls that never were got a 200", n)
	}
	for _, c := range v.called {
		v.checkCall(c, works[c.number], h, report)
	}
	outcomes := make(map[string]string)
	v.run.rows(db, "SELECT id, outcome FROM calls WHERE id > ?", "", func(rows *sql.Rows) error {
		var id, outcome string
		err := rows.Scan(&id, &outcome)
		outcomes[id] = outcome
		v.run.outcomes["call "+outcome]++
		return err
	})
	for _, w := range v.worked {
		taken := slices.ContainsFunc(w.answers, func(a serviceAnswer) bool { return a.status == http.StatusOK })
		if taken && outcomes[w.exchange] != "answered" {
			report("a worker got a 200 for its answer, and the log says %q: %+v", outcomes[w.exchange], *w)
		}
	}
}

// checkCall checks a call, and what the worker that took it was told. w is nil if no worker knows of it.
func (v *services) checkCall(c *serviceCall, w *serviceWork, h *history, report func(string, ...any)) {
	var taken, broken []serviceAnswer
	if w != nil {
		for _, a := range w.answers {
			if a.status == http.StatusOK {
				taken = append(taken, a)
			}
			if a.broken {
				broken = append(broken, a)
			}
		}
	}
	answered := c.status == http.StatusCreated && c.code == ""
	whole := answered && c.err == nil
	// An error is expected when the server is killed or stopped.
	disturbed := h.stopping(c.begun, c.done.Add(busy)) || h.full(c.begun, c.done.Add(busy))
	switch {
	case len(taken) > 1:
		report("%d answers to one call got a 200: %+v", len(taken), *w)
	case answered && !bytes.Equal(c.answer, appendMessage(nil, c.number, 0, int64(len(c.answer)))):
		report("call %d got an answer to another: %.40q", c.number, c.answer)
	case whole && !slices.ContainsFunc(w.known(), func(a serviceAnswer) bool { return a.size == len(c.answer) && !a.broken }) && !disturbed:
		report("call %d got an answer of %d bytes that its worker did not give: %+v", c.number, len(c.answer), w)
	case len(taken) == 1 && !c.left && !disturbed && (!whole || len(c.answer) != taken[0].size):
		report("a worker got a 200 for an answer of %d bytes, and call %d got %d (%d %s, %v)", taken[0].size, c.number, len(c.answer), c.status, c.code, c.err)
	case !c.left && !disturbed && c.err != nil && len(broken) == 0 && !v.deletedDuring(c):
		report("call %d got no answer, or not all of it: %d %s, %v, %+v", c.number, c.status, c.code, c.err, w)
	case c.done.Sub(c.begun) > waitLimit+replyLimit+4*time.Second && !h.late(c.begun, c.done):
		report("call %d took %v", c.number, c.done.Sub(c.begun))
	}
}

func (w *serviceWork) known() []serviceAnswer {
	if w == nil {
		return nil
	}
	return w.answers
}

func (v *services) deletedDuring(c *serviceCall) bool {
	return slices.ContainsFunc(v.deletions, func(at time.Time) bool { return at.After(c.begun) && at.Before(c.done) })
}
