//go:build linux

package main

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"httpipe/pipe"
)

// A history is the past that a made log tells: one run of the server, numbered 0, which is over.
type history struct {
	exchanges int // in all
	made      int // so far

	start    time.Time
	interval time.Duration // between exchanges
	rng      *rand.Rand
	which    *rand.Zipf     // of the busy channels is used
	busy     [channels]life // the last life of each
	lives    int64          // so far
	requests int64          // that were never matched, so far
}

const (
	channels  = 200                 // that are used again and again
	oneOff    = 0.1                 // the share of exchanges on a channel that is used once
	delivered = 0.97                // the share of exchanges that end so
	apart     = 0.02                // the share of exchanges whose ending is a row of its own
	unmatched = 0.1                 // for every exchange there are so many requests that were never matched
	perLife   = 50                  // exchanges in the life of a busy channel
	period    = 60 * 24 * time.Hour // from the first exchange to the last
)

// namespaces are those of the channels.
var namespaces = [...]string{"v1", "builds", "ci", "hooks", "sensors"}

// failures are the outcomes of exchanges that were not delivered.
var failures = [...]pipe.Outcome{
	pipe.ConsumerLeft, pipe.ProducerLeft, pipe.Stalled, pipe.Silent, pipe.TooLarge, pipe.Deleted, pipe.ShutDown, pipe.Unrecorded, pipe.Interrupted,
}

// unmet are the outcomes of requests that were never matched.
var unmet = [...]pipe.Outcome{pipe.Left, pipe.TimedOut, pipe.Refused}

var (
	contentTypes = [...]string{"application/octet-stream", "application/json", "text/plain; charset=utf-8"}
	agents       = [...]string{"curl/8.14.1", "curl/7.88.1", "python-requests/2.32.3", "Go-http-client/1.1", "Wget/1.21.3"}
)

// A life is one life of a channel.
type life struct {
	id                 int64
	namespace, channel string
	opened             time.Time
	exchanges, bytes   int64 // so far
	last               int64 // the number of the exchange after which it ends
}

// newHistory returns a history that ends now.
func newHistory(exchanges int, now time.Time) *history {
	h := &history{
		exchanges: exchanges,
		start:     now.Add(-period),
		interval:  period / time.Duration(max(exchanges, 1)),
		rng:       rand.New(rand.NewPCG(1, 2)),
	}
	h.which = rand.NewZipf(h.rng, 1.2, 4, channels-1)
	return h
}

func (h *history) writeRun(tx *sql.Tx) error {
	if _, err := tx.Exec("INSERT INTO run (id, started_at, version) VALUES (0, ?, 'made')", h.start.UnixMilli()); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO run_end (id, stopped_at, lost) VALUES (0, ?, 0)", h.start.Add(period).UnixMilli())
	return err
}

const insertLife = `INSERT INTO life (id, namespace, channel, opened_at, closed_at, reason, exchanges, bytes)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// writeExchanges writes the next n exchanges, the lives that end with them, and the requests between them.
func (h *history) writeExchanges(tx *sql.Tx, n int) error {
	begin, err := tx.Prepare(`INSERT INTO exchange (id, life, namespace, channel, content_type, matched_at, producer_wait_ms, consumer_wait_ms,
		producer_addr, consumer_addr, producer_agent, consumer_agent, outcome, bytes, ended_at, opened_before_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	end, err := tx.Prepare("INSERT INTO exchange_end (id, outcome, bytes, ended_at) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	closed, err := tx.Prepare(insertLife)
	if err != nil {
		return err
	}
	gone, err := tx.Prepare(`INSERT INTO request (id, namespace, channel, role, outcome, arrived_at, ended_at, addr, agent)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for range n {
		if err := h.writeExchange(begin, end, closed); err != nil {
			return err
		}
		if h.rng.Float64() < unmatched {
			if err := h.writeRequest(gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRequest writes one that was never matched, on a busy channel.
func (h *history) writeRequest(gone *sql.Stmt) error {
	h.requests++
	client, n := h.rng.IntN(1000), h.which.Uint64()
	ended := h.start.Add(time.Duration(h.made) * h.interval).UnixMilli()
	_, err := gone.Exec(h.requests, namespaceOf(n), busyChannel(n), [...]string{"producer", "consumer"}[client%2], string(unmet[client%len(unmet)]),
		ended-h.wait(), ended, address(client), agents[client%len(agents)])
	return err
}

func (h *history) writeExchange(begin, end, closed *sql.Stmt) error {
	at := h.start.Add(time.Duration(h.made) * h.interval)
	h.made++
	id, l := h.id(at), h.life(at)
	outcome, bytes := h.ending()
	ended := at.Add(time.Millisecond + time.Duration(bytes.Int64)*10) // 100 MB/s
	producer, consumer := h.rng.IntN(1000), h.rng.IntN(1000)
	late := outcome == pipe.Interrupted || h.rng.Float64() < apart

	row := []any{id, l.id, l.namespace, l.channel, contentTypes[producer%len(contentTypes)], at.UnixMilli(), h.wait(), h.wait(),
		address(producer), address(consumer), agents[producer%len(agents)], agents[consumer%len(agents)], nil, nil, nil, nil}
	whole := !late && l.last == 1 // this is all of the channel's life
	if !late {
		row[12], row[13], row[14] = string(outcome), bytes, ended.UnixMilli()
	}
	if whole {
		row[15] = 0
	}
	if _, err := begin.Exec(row...); err != nil {
		return err
	}
	if late {
		if _, err := end.Exec(id, string(outcome), bytes, ended.UnixMilli()); err != nil {
			return err
		}
	}
	l.exchanges++
	l.bytes += bytes.Int64
	if l.exchanges == l.last && !whole {
		return l.close(closed, ended, "idle")
	}
	return nil
}

// writeOpenLives closes the channels that are still open at the end.
func (h *history) writeOpenLives(tx *sql.Tx) error {
	closed, err := tx.Prepare(insertLife)
	if err != nil {
		return err
	}
	for i := range h.busy {
		if l := &h.busy[i]; l.exchanges < l.last {
			if err := l.close(closed, h.start.Add(period), "shut_down"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *life) close(closed *sql.Stmt, at time.Time, reason string) error {
	_, err := closed.Exec(l.id, l.namespace, l.channel, l.opened.UnixMilli(), at.UnixMilli(), reason, l.exchanges, l.bytes)
	return err
}

// life returns the life of the channel that is used next.
func (h *history) life(at time.Time) *life {
	if h.rng.Float64() < oneOff {
		h.lives++
		return &life{id: h.lives, namespace: "replies", channel: fmt.Sprintf("%016x", h.rng.Uint64()), opened: at, last: 1}
	}
	n := h.which.Uint64()
	l := &h.busy[n]
	if l.exchanges == l.last {
		h.lives++
		*l = life{id: h.lives, namespace: namespaceOf(n), channel: busyChannel(n), opened: at, last: perLife}
	}
	return l
}

func namespaceOf(busy uint64) string { return namespaces[busy%uint64(len(namespaces))] }

// busyChannel is the name of one of the channels that are used again and again; 0 is the busiest.
func busyChannel(n uint64) string { return fmt.Sprintf("channel-%03d", n) }

// id returns a UUID of version 7 of that time. No two exchanges are within a millisecond, so ids ascend.
func (h *history) id(at time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|0x7000|h.rng.Uint64N(1<<12))
	binary.BigEndian.PutUint64(id[8:], 1<<63|h.rng.Uint64N(1<<62))
	return id.String()
}

// ending returns how an exchange ends. Its size is anything from a byte to ten megabytes, small ones being as frequent
// as large ones.
func (h *history) ending() (pipe.Outcome, sql.NullInt64) {
	bytes := sql.NullInt64{Int64: int64(math.Pow(10, 7*h.rng.Float64())), Valid: true}
	if h.rng.Float64() < delivered {
		return pipe.Delivered, bytes
	}
	outcome := failures[h.rng.IntN(len(failures))]
	if outcome == pipe.Interrupted {
		bytes = sql.NullInt64{}
	}
	return outcome, bytes
}

// wait returns how many milliseconds a side has waited: often none, sometimes minutes.
func (h *history) wait() int64 {
	if h.rng.IntN(2) == 0 {
		return 0
	}
	return int64(math.Pow(10, 5*h.rng.Float64()))
}

// address returns that of one of the clients.
func address(client int) string { return fmt.Sprintf("192.0.2.%d", client%256) }
