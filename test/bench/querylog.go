//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"httpipe/store"
)

// lastTarget is how long that may take, in ms.
const lastTarget = 50

// measureLog makes a log with that many exchanges, and prints its size, how long it took, and how fast a channel's last
// exchanges are found in it.
func (b *bench) measureLog(exchanges int, w io.Writer) error {
	path := filepath.Join(b.temp, "made.db")
	start := time.Now()
	if err := makeLog(path, exchanges); err != nil {
		return err
	}
	elapsed := time.Since(start)
	size, err := fileSize(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	log, err := store.OpenHistory(path)
	if err != nil {
		return err
	}
	defer log.Close()
	var once string
	if err := db.QueryRow("SELECT channel FROM exchange WHERE namespace = 'replies' ORDER BY id LIMIT 1").Scan(&once); err != nil {
		return err
	}
	t := &table{
		title: fmt.Sprintf("The last 100 exchanges of a channel in a log of %d", exchanges),
		note: fmt.Sprintf("The log has %.0f MB, %.0f bytes per exchange, and was made in %v.",
			float64(size)/1e6, float64(size)/float64(exchanges), elapsed.Round(time.Second)),
		heading: "channel",
		columns: []string{"ms"},
	}
	slowest := math.Inf(-1)
	for _, c := range []struct{ name, namespace, channel string }{
		{"the busiest", namespaces[0], busyChannel(0)},
		{"the least busy of 200", namespaces[(channels-1)%len(namespaces)], busyChannel(channels - 1)},
		{"one that was used once, at the beginning", "replies", once},
		{"one that does not exist", "replies", "nobody"},
	} {
		for range b.rounds {
			_, took, err := last(log, c.namespace, c.channel)
			if err != nil {
				return err
			}
			t.add(c.name, "ms", took.Seconds()*1000)
		}
		slowest = max(slowest, median(t.row(c.name).samples["ms"]))
	}
	t.write(w)
	verdict := atMost(lastTarget).verdict(slowest)
	fmt.Fprintf(w, "\nThe target is %d ms for any of them: %s.\n", lastTarget, verdict)
	return nil
}

// last asks for the last exchanges of a channel, as httpipe audit list does, and returns how many there were and how long it took.
func last(log *store.History, namespace, channel string) (found int, took time.Duration, err error) {
	start := time.Now()
	page, err := log.Page(context.Background(), store.Exchanges, store.Filter{Namespace: namespace, Channel: channel}, "", 100)
	return len(page.Rows), time.Since(start), err
}
