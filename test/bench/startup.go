//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// startUp measures how long it takes from the start of a process to its first answer.
func (b *bench) startUp() error {
	t := b.table("From the start of a process to its first answer, in ms", "audit log")
	return turns(b.rounds, b.relays, func(round int, v variant) error {
		s, err := v.start(b.temp)
		if err != nil {
			return err
		}
		defer s.kill()
		elapsed, err := s.firstAnswer()
		if err != nil || round == warmUp {
			return err
		}
		t.add("new, or none", v.name, elapsed.Seconds()*1000)
		return nil
	})
}

// firstAnswer returns how long after its start the server has answered a request.
func (s *server) firstAnswer() (time.Duration, error) {
	const path = "/healthz"
	response, err := http.Get("http://" + s.addr.String() + path)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answered with %s", path, response.Status)
	}
	return time.Since(s.started), nil
}
