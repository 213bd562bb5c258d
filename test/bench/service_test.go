//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A naiveService relays calls to workers, and their answers back.
type naiveService struct {
	calls chan naiveCall

	mu      sync.Mutex
	answers map[string]chan []byte // to calls that a worker has taken
}

type naiveCall struct {
	body   []byte
	answer chan []byte
}

func (s *naiveService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == callPath:
		c := naiveCall{body, make(chan []byte)}
		s.calls <- c
		w.Write(<-c.answer)
	case r.Method == http.MethodPost:
		s.mu.Lock()
		answer := s.answers[r.URL.Path]
		s.mu.Unlock()
		answer <- body
	default:
		var c naiveCall
		select {
		case c = <-s.calls:
		case <-r.Context().Done():
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		reply := fmt.Sprintf("%s/%d", workPath, len(s.answers))
		s.answers[reply] = c.answer
		w.Header().Set("Httpipe-Reply", reply)
		w.Write(c.body)
	}
}

func TestCrew(t *testing.T) {
	service := &naiveService{calls: make(chan naiveCall), answers: make(map[string]chan []byte)}
	c, err := newCrew(addrOf(t, service.ServeHTTP), 4)
	defer c.close()
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []float64{0, 200} {
		seen, err := c.run(100*time.Millisecond, rate)
		if err != nil {
			t.Fatal(err)
		}
		if n := seen.exchanges; n < 4 || n != len(seen.acknowledged) || n > 21 && rate > 0 {
			t.Errorf("at the rate %v: %d calls, %d times", rate, n, len(seen.acknowledged))
		}
	}
}

func TestCrewFindsWrongAnswers(t *testing.T) {
	c, err := newCrew(addrOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.WriteString(w, "jello")
		} else {
			<-r.Context().Done()
		}
	}), 1)
	defer c.close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.run(time.Second, 0); err == nil || !strings.Contains(err.Error(), `got "jello"`) {
		t.Errorf("the run ended with %v", err)
	}
}
