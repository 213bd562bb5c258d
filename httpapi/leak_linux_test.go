package httpapi

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
)

// usage is what the process holds.
type usage struct {
	goroutines, files int
	heap              int
}

func measure(t *testing.T) usage {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), len(files), int(m.HeapAlloc)}
}

// Thousands that come and go, in all the ways there are, leave nothing behind.
func TestNothingIsLeftBehind(t *testing.T) {
	r := start(t, stallAfter(patience), silentFor(patience))
	comeAndGo(r, 100) // what is made once is made now
	before := measure(t)
	comeAndGo(r, 3000)
	r.Vanished()
	var after usage
	eventually(t, patience, fmt.Sprintf("it is as before, %+v", before), func() bool {
		after = measure(t)
		return after.goroutines <= before.goroutines && after.files <= before.files
	})
	if grown := after.heap - before.heap; grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if n := r.relay.Connections(); n > 0 {
		t.Errorf("%d connections are watched still", n)
	}
}

// comeAndGo has n clients do so, some at a time.
func comeAndGo(r *testServer, n int) {
	var group sync.WaitGroup
	places := make(chan struct{}, 100)
	for i := range n / 2 {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			comeAndGoTwo(r, i)
		})
	}
	group.Wait()
}

// comeAndGoTwo has a pair of clients that need not meet.
func comeAndGoTwo(r *testServer, i int) {
	path := fmt.Sprintf("/channels/n%d/c%d", i%7, i)
	p, c := r.connect(), r.connect()
	defer p.Close()
	defer c.Close()
	switch i % 6 {
	case 0: // delivered
		p.Post(path, "hello")
		c.Get(path).Answer().Got("hello")
		p.Answer().Is(200)
	case 1: // left while waiting
		c.Get(path)
		p.Post(path+"x", "hello")
	case 2: // reset while waiting
		c.Get(path).SetLinger(0)
		p.Request("POST", path+"x", length(1<<20)).SetLinger(0)
	case 3: // timed out
		c.Get(path+"?wait=1ms").Answer().Failed(408, "timed_out")
		p.Post(path+"?wait=0", "hello").Answer().Failed(408, "timed_out")
	case 4: // left halfway
		p.Request("POST", path, chunked).Say(chunk("hello"))
		c.Get(path).Head()
		p.Close()
	case 5: // deleted
		c.Get(path)
		p.Request("HEAD", path).Answer()
		p.Request("DELETE", path).Answer()
	}
}
