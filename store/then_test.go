package store_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/store"
)

// calls collects what the functions given to Then are called with.
type calls struct {
	mu   sync.Mutex
	made []string
	errs []error
}

// record gives Then a function that adds the name and the error.
func (c *calls) record(commit *store.Commit, name string) {
	commit.Then(func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.made, c.errs = append(c.made, name), append(c.errs, err)
	})
}

func (c *calls) want(t *testing.T, names ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.made, names) {
		t.Errorf("called: %q, want %q", c.made, names)
	}
}

func (c *calls) wantErrors(t *testing.T, failed bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, err := range c.errs {
		if (err != nil) != failed {
			t.Errorf("%s was called with %v, want an error: %v", c.made[i], err, failed)
		}
	}
}

// TestThen holds the lock of the database, so that all rows share a commit.
func TestThen(t *testing.T) {
	f := open(t)
	release := holdLock(t, f.path)
	c := new(calls)
	ids, commits := []string{}, []*store.Commit{}
	for _, name := range []string{"a", "b", "c"} {
		id, commit := f.exchange("delivered")
		ids, commits = append(ids, id), append(commits, commit)
		c.record(commit, name)
	}
	c.record(commits[1], "b again")
	c.want(t)
	release()
	wait(t, commits[2])
	c.want(t, "a", "b", "b again", "c")
	c.wantErrors(t, false)
	for _, id := range ids {
		wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	}
	c.record(commits[0], "late")
	c.want(t, "a", "b", "b again", "c", "late")
	c.wantErrors(t, false)
}

// A row is in the file, and visible to other processes, before Then says so.
func TestThenComesAfterTheCommit(t *testing.T) {
	f := open(t)
	reader := db(t, f.path)
	id, commit := f.exchange("delivered")
	outcome := make(chan string)
	commit.Then(func(error) {
		var found string
		if err := reader.QueryRow("SELECT outcome FROM exchanges WHERE id = ?", id).Scan(&found); err != nil {
			found = err.Error()
		}
		outcome <- found
	})
	if got := <-outcome; got != "delivered" {
		t.Errorf("when Then called, the file said %q, want delivered", got)
	}
}

// The files are checked after COMMIT and before Then says that a row is safe.
func TestThenComesAfterTheCheckOfTheFiles(t *testing.T) {
	path := tempPath(t)
	away, armed := once(func() {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Error(err)
		}
	})
	f := start(t, path, store.Config{}, store.Limits{Committing: away})
	armed.Store(true)
	c := new(calls)
	id, commit := f.exchange("delivered")
	c.record(commit, "deleted")
	wantFailed(t, commit)
	c.want(t, "deleted")
	c.wantErrors(t, true)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	if got := one(t, path, "SELECT outcome FROM exchanges WHERE id = ?", id); got == "" {
		t.Error("the exchange is not in the file")
	}
	c.want(t, "deleted")
}

// During an outage, Then is called once, with the error, and not again when the rows are written at last.
func TestThenInAnOutage(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 50 * time.Millisecond, Busy: time.Minute})
	release := holdLock(t, f.path)
	c := new(calls)
	_, first := f.exchange("delivered")
	c.record(first, "timed out")
	wantFailed(t, first)
	_, second := f.exchange("delivered")
	c.record(second, "handed in later")
	c.want(t, "timed out", "handed in later")
	release()
	f.waitUntilWritable(t)
	_, third := f.exchange("delivered")
	wait(t, third)
	c.want(t, "timed out", "handed in later")
	c.wantErrors(t, true)
}

// Every Then is called once, whether it comes before, during or after the commit, and however many there are.
func TestThenAgainstTheWriter(t *testing.T) {
	f := open(t)
	const producers, each = 8, 200
	var called, failed atomic.Int64
	var workers, calls sync.WaitGroup
	calls.Add(producers * each)
	for range producers {
		workers.Go(func() {
			for range each {
				_, commit := f.exchange("delivered")
				commit.Then(func(err error) {
					called.Add(1)
					if err != nil {
						failed.Add(1)
					}
					calls.Done() // panics if it is called more often
				})
			}
		})
	}
	workers.Wait()
	calls.Wait()
	if called.Load() != producers*each || failed.Load() != 0 {
		t.Errorf("%d calls, %d with an error, want %d and 0", called.Load(), failed.Load(), producers*each)
	}
	if strings.Contains(f.logged.String(), "panicked") {
		t.Error("a function was called more than once")
	}
}

// A function may record further rows, and its panic affects no other row.
func TestThenThatPanics(t *testing.T) {
	f := open(t)
	release := holdLock(t, f.path)
	c := new(calls)
	_, first := f.exchange("delivered")
	first.Then(func(error) { panic(errors.New("planted")) })
	c.record(first, "the same row")
	next := make(chan *store.Commit, 1)
	_, second := f.exchange("delivered")
	second.Then(func(error) {
		_, commit := f.exchange("consumer_left")
		next <- commit
	})
	release()
	wait(t, <-next)
	wait(t, second)
	c.want(t, "the same row")
	c.wantErrors(t, false)
	if logged := f.logged.String(); strings.Count(logged, "planted") != 1 || !strings.Contains(logged, "then_test.go") {
		t.Errorf("the panic is not logged once, with its place:\n%s", logged)
	}
}

// A row that is lost says so at once.
func TestThenAfterClose(t *testing.T) {
	f := open(t)
	mustClose(t, f)
	c := new(calls)
	_, commit := f.exchange("delivered")
	c.record(commit, "lost")
	c.want(t, "lost")
	c.wantErrors(t, true)
}
