package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// claims are what clients of a service were told, and what must be on record then.
type claims struct {
	mu       sync.Mutex
	answered []string // ids of answers that callers have got whole
	accepted []string // ids of answers whose workers got 200
}

func (c *claims) add(list *[]string, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, id)
}

// TestServiceClaims lets callers and workers of one service leave, die, answer in part, twice and late, at random, and compares
// what the others were told with the log.
func TestServiceClaims(t *testing.T) {
	t.Parallel() // many calls wait for the timeout
	p := kit.Start(t, t.TempDir(), "--reply-timeout", "1s")
	const clients, calls = 16, 20
	var told claims
	ctx, stop := context.WithCancel(t.Context())
	var workers, callers sync.WaitGroup
	var served atomic.Int64
	for i := range clients {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for ctx.Err() == nil {
				work(ctx, t, p.URL, rng, &told)
			}
		})
		callers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(clients+i)))
			for n := range calls {
				if call(t, p.URL, fmt.Sprintf("%d/%d", i, n), rng, &told) {
					served.Add(1)
				}
			}
		})
	}
	callers.Wait()
	stop()
	workers.Wait()
	p.Stop(t)
	if served.Load() < clients*calls/8 {
		t.Errorf("only %d of %d calls were answered", served.Load(), clients*calls)
	}
	outcomes := make(map[string]string) // by the answer's exchange
	for line := range strings.Lines(p.SQLite(t, "select e.id, e.outcome, c.outcome from exchanges e join calls c on c.id = e.reply_to")) {
		id, outcome, _ := strings.Cut(strings.TrimSpace(line), "|")
		outcomes[id] = outcome
	}
	for what, ids := range map[string][]string{"an answer that its caller has": told.answered, "an answer whose worker got 200": told.accepted} {
		for _, id := range ids {
			if got := outcomes[id]; got != "delivered|answered" {
				t.Errorf("%s, %s, is on record as %q", what, id, got)
			}
		}
	}
	for query, want := range map[string]string{
		"select count(*) from calls where outcome = 'open' or ended_at is null":                                                                             "0",
		"select count(*) from exchanges where outcome = 'open'":                                                                                             "0",
		"select count(*) from (select 1 from exchanges where reply_to is not null group by reply_to having count(*) > 1)":                                   "0",
		"select count(*) from calls c left join exchanges e on e.reply_to = c.id where (c.outcome = 'answered') <> (coalesce(e.outcome, '') = 'delivered')": "0",
		"select count(*) from calls c join exchanges e on e.id = c.id where e.outcome <> 'delivered' and c.outcome in ('answered', 'unanswered')":           "0",
		"select min(n) > 0 from (select count(*) n from calls where outcome in ('answered', 'unanswered', 'left', 'consumer_left') group by outcome)":       "1",
		"select count(distinct outcome) > 3 from calls":                                                                                                     "1",
	} {
		if got := p.SQLite(t, query); got != want {
			t.Errorf("%s: %q, want %q; %s", query, got, want, p.SQLite(t, "select outcome, count(*) from calls group by 1"))
		}
	}
}

// call makes a call, which sometimes hangs up early, and reports whether it got its answer.
func call(t *testing.T, url, name string, rng *rand.Rand, told *claims) bool {
	ctx, cancel := context.WithTimeout(context.Background(), kit.Patience)
	if rng.IntN(8) == 0 {
		ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rng.IntN(30))*time.Millisecond)
	}
	defer cancel()
	body := name + strings.Repeat(" ", []int{0, 100, 200 << 10, 3 << 20}[rng.IntN(4)])
	r, err := http.NewRequestWithContext(ctx, "PATCH", url+"/services/v1/claims/"+name, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Httpipe-Error") != "" {
		return false
	}
	if resp.StatusCode != http.StatusAccepted || string(got) != "/"+name+" "+body {
		t.Errorf("%s got %d and %d bytes, which begin with %.40q", name, resp.StatusCode, len(got), got)
	}
	told.add(&told.answered, resp.Header.Get("Httpipe-Exchange"))
	return true
}

// work takes a request and does with it what chance wants.
func work(ctx context.Context, t *testing.T, url string, rng *rand.Rand, told *claims) {
	request, err := http.NewRequestWithContext(ctx, "GET", url+"/work/v1/claims?wait=100ms", nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	fate := rng.IntN(12)
	if fate == 0 {
		return // hangs up before it has read the request
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || fate == 1 {
		return // the caller has left; or the worker hangs up after the request
	}
	answer := []byte(resp.Header.Get("Httpipe-Target") + " " + string(body))
	send := func(answer io.Reader) {
		r, err := http.NewRequest("POST", url+resp.Header.Get("Httpipe-Reply"), answer)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Httpipe-Status", "202")
		if resp, err := http.DefaultClient.Do(r); err == nil {
			if resp.StatusCode == http.StatusOK {
				told.add(&told.accepted, resp.Header.Get("Httpipe-Exchange"))
			}
			resp.Body.Close()
		}
	}
	switch fate {
	case 2: // hangs up during its answer
		send(io.MultiReader(bytes.NewReader(answer[:len(answer)/2]), failing{}))
	case 3:
		send(bytes.NewReader(answer))
		send(bytes.NewReader(answer))
	default:
		send(bytes.NewReader(answer))
	}
}

// failing is a Reader that fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestServiceSigterm stops a server on which 64 workers have taken a request. Half of them answer in time.
func TestServiceSigterm(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir(), "--drain-timeout", "3s")
	const calls = 64
	var answers [calls]<-chan string
	var replies [calls]string
	for i := range calls {
		answers[i] = kit.Post(t, p.URL+"/services/v1/s", strings.NewReader("question"), 8)
		resp := kit.Get(t, p.URL+"/work/v1/s")
		io.Copy(io.Discard, resp.Body)
		replies[i] = resp.Header.Get("Httpipe-Reply")
	}
	p.Process.Signal(syscall.SIGTERM)
	for deadline := time.Now().Add(kit.Patience); ; time.Sleep(kit.Pause) {
		health, err := http.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		health.Body.Close()
		if health.StatusCode == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not stop")
		}
	}
	for i := range calls / 2 {
		if got := <-kit.Post(t, p.URL+replies[i], strings.NewReader("answer"), 6); got != "200" {
			t.Errorf("the worker of call %d got %s", i, got)
		}
	}
	for i, answer := range answers {
		want := "200"
		if i >= calls/2 {
			want = "503"
		}
		if got := <-answer; got != want {
			t.Errorf("the caller of call %d got %s, want %s", i, got, want)
		}
	}
	<-p.Exited
	if p.ExitErr != nil {
		t.Errorf("exit: %v", p.ExitErr)
	}
	if got, want := p.SQLite(t, "select outcome, status, count(*) from calls group by 1, 2 order by 1"), "answered|200|32\nshut_down||32"; got != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
}
