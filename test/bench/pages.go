//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pageTarget is how long the first page of any filter may take in a warm process, in ms.
const pageTarget = 100

// questions are what the audit log is asked, over HTTP.
var questions = []string{
	"exchanges",
	"exchanges?namespace=v1", "exchanges?namespace=replies", "exchanges?namespace=nobody",
	"exchanges?namespace=v1&channel=channel-000", "exchanges?namespace=sensors&channel=channel-199", "exchanges?namespace=v1&channel=nobody",
	"exchanges?channel=channel-000", "exchanges?channel=nobody",
	"exchanges?outcome=delivered", "exchanges?outcome=stalled", "exchanges?outcome=interrupted", "exchanges?outcome=open", "exchanges?outcome=left",
	"exchanges?namespace=v1&outcome=stalled", "exchanges?namespace=v1&channel=channel-000&outcome=stalled",
	"exchanges?namespace=sensors&channel=channel-199&outcome=unrecorded",
	"exchanges?from=24h", "exchanges?to=30d", "exchanges?from=31d&to=30d&outcome=stalled", "exchanges?from=31d&to=30d&namespace=ci&channel=channel-002",
	"requests", "requests?namespace=v1&outcome=timed_out&role=producer", "requests?namespace=v1&channel=channel-000&outcome=left",
	"requests?role=consumer", "requests?outcome=deleted", "requests?from=31d&to=30d&outcome=refused",
	"channels", "channels?namespace=ci&channel=channel-002", "channels?from=31d&to=30d",
	"summary?from=1h", "summary?from=24h", "summary?from=60d",
}

// measurePages starts httpipe on a large log, and measures how fast it answers and what that does to the relay.
func (b *bench) measurePages(o options, w io.Writer) error {
	if o.from == "" {
		o.from = filepath.Join(b.temp, "made.db")
		if err := makeLog(o.from, o.rows); err != nil {
			return err
		}
	}
	s, err := b.startOne(o)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := awaitBlocks(filepath.Join(s.dir, logName)); err != nil {
		return err
	}
	if err := b.firstPages(s, w); err != nil {
		return err
	}
	return b.ratesWhilePaging(s, w)
}

// firstPages measures each question, once it has been asked before.
func (b *bench) firstPages(s *server, w io.Writer) error {
	t := &table{title: "The first page of a question to the audit log, in ms", heading: "question", columns: []string{"median", "slowest", "rows", "more"}}
	slowest := 0.0
	for _, question := range questions {
		if _, err := s.page(question); err != nil {
			return err
		}
		worst := 0.0
		for range b.rounds {
			start := time.Now()
			p, err := s.page(question)
			if err != nil {
				return err
			}
			ms := time.Since(start).Seconds() * 1000
			worst = max(worst, ms)
			t.add(question, "median", ms)
			t.add(question, "rows", float64(p.rows))
			t.add(question, "more", map[bool]float64{true: 1}[p.Next != ""])
		}
		t.add(question, "slowest", worst)
		slowest = max(slowest, median(t.row(question).samples["median"]))
	}
	t.write(w)
	fmt.Fprintf(w, "\nThe target is %d ms for any of them: %s.\n", pageTarget, atMost(pageTarget).verdict(slowest))
	return nil
}

// A page is an answer of the audit log.
type page struct {
	Next string
	rows int
}

// page asks the audit log.
func (s *server) page(question string) (p page, err error) {
	key, err := os.ReadFile(filepath.Join(s.dir, logName) + ".key")
	if err != nil {
		return p, err
	}
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/audit/%s", s.addr, question), nil)
	if err != nil {
		return p, err
	}
	request.SetBasicAuth("", strings.TrimSpace(string(key)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return p, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return p, fmt.Errorf("%s: %s %s %w", question, response.Status, body, err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return p, err
	}
	for name, value := range fields {
		var rows []json.RawMessage
		if name == "next" {
			json.Unmarshal(value, &p.Next)
		} else if json.Unmarshal(value, &rows) == nil {
			p.rows = len(rows)
		}
	}
	return p, nil
}

// ratesWhilePaging measures the relay's rate while no client, a slow and a fast one page through the log.
func (b *bench) ratesWhilePaging(s *server, w io.Writer) error {
	const none, slow, fast = "no client", "2 pages a second", "page after page"
	t := &table{title: "Exchanges per second while a client pages through the log", heading: "load", columns: []string{none, slow, fast},
		ratios: []ratio{{slow, none}, {fast, none}}}
	meters, err := newMeters([]*server{s}, typical)
	defer closeMeters(meters)
	if err != nil {
		return err
	}
	pagers := []pager{{none, 0, false}, {slow, 500 * time.Millisecond, true}, {fast, 0, true}}
	err = turns(b.rounds, pagers, func(round int, client pager) error {
		ctx, stop := context.WithCancel(context.Background())
		pages := make(chan error, 1)
		go func() { pages <- client.page(ctx, s) }()
		seen, err := meters[0].fleet.run(b.turn, 0, false)
		stop()
		if err := <-pages; err != nil {
			return err
		}
		if err == nil && round != warmUp {
			t.add(typical.String(), client.name, seen.rate())
		}
		return err
	})
	if err != nil {
		return err
	}
	t.write(w)
	return nil
}

// A pager goes through the log page by page, and begins anew at its end.
type pager struct {
	name  string
	pause time.Duration
	pages bool
}

func (p pager) String() string { return p.name }

func (p pager) page(ctx context.Context, s *server) error {
	next := ""
	for p.pages && ctx.Err() == nil {
		question := "exchanges?namespace=v1"
		if next != "" {
			question += "&cursor=" + url.QueryEscape(next)
		}
		answer, err := s.page(question)
		if err != nil {
			return err
		}
		next = answer.Next
		select {
		case <-ctx.Done():
		case <-time.After(p.pause):
		}
	}
	return nil
}
