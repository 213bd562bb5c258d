package store

import (
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// A row is what was handed in about one thing and is not yet in the file: its beginning, its ending, or both. Log.mu guards the
// fields that change. The writer reads them without it in the rows of its batch, except commit and open: nothing else changes there.
type row struct {
	entry  any // the content: a *record of one of the types below, *CallEnd or *numberedRequest; constant once it is queued
	commit Commit
	at     time.Duration // when it was handed in, by Log.clock; its commit fails commitTimeout later

	after *row         // a row that must get into the file before this one, if it is in memory: the opening of the exchange's channel
	first *exchangeRow // of a life: its first exchange, if that was matched before the writer took the opening

	open   bool // it has begun and not ended, so it may be held back; only with Log.mu, also for a row of the batch
	needed bool // a row after this one is about to be written
	held   bool // it stays in the queue for now
	whole  bool // of a life: the row of its only exchange records it too, so it leaves the queue and is not written itself

	// Of a row of the batch; set by take, and by the writer.
	failed   bool // its Commit had failed
	rejected bool // by the database, because of its content
}

// newRow returns a row and its entry in one piece of memory.
func newRow[T any](entry T) (*row, *T) {
	both := &struct {
		row   row
		entry T
	}{entry: entry}
	both.row.entry = &both.entry
	return &both.row, &both.entry
}

// A record is a row of a thing that begins and ends.
type record[K comparable, B, E any] struct {
	row
	id    K
	begin *B // nil: the ending alone, which came after the writer had taken the beginning
	end   *E // nil: the beginning alone

	memory struct { // what begin and end point to, so that one allocation is enough
		begin B
		end   E
	}
}

type (
	lifeRow         = record[int64, Life, LifeEnd]
	exchangeRow     = record[string, Match, ExchangeEnd]
	publicationRow  = record[string, Publication, PublicationEnd]
	subscriptionRow = record[string, Subscription, SubscriptionEnd]
)

func newRecord[K comparable, B, E any](id K) *record[K, B, E] {
	r := &record[K, B, E]{id: id}
	r.entry = r
	return r
}

// String describes r for a log line.
func (r *record[K, B, E]) String() string { return fmt.Sprintf("%+v %+v", r.begin, r.end) }

// missing returns the beginning and the ending of r without what the file already has. question is the query of statements that
// looks up such a thing, such as hasLife, and args are its arguments.
func (r *record[K, B, E]) missing(question *sql.Stmt, args ...any) (begin *B, end *E, err error) {
	switch has, err := lookUp(question, args...); {
	case err != nil || has == complete:
		return nil, nil, err
	case has == begun:
		return nil, r.end, nil
	}
	return r.begin, r.end, nil
}

// things keeps track of the things of one kind that have begun and not ended, by their ids. Log.mu guards it.
type things[K comparable, B, E any] struct {
	begun map[K]*record[K, B, E] // the row of the beginning; nil if it is in the file
	lost  map[K]bool             // those whose beginning was lost; their ending must be lost too
}

func newThings[K comparable, B, E any]() things[K, B, E] {
	return things[K, B, E]{begun: make(map[K]*record[K, B, E]), lost: make(map[K]bool)}
}

// newBeginning returns a row with a copy of begin, for beginLocked.
func (t *things[K, B, E]) newBeginning(id K, begin *B) *record[K, B, E] {
	r := newRecord[K, B, E](id)
	r.memory.begin = *begin
	r.begin, r.open = &r.memory.begin, true
	return r
}

// beginLocked queues a beginning, and reports whether there was room for it. The caller holds Log.mu.
func (t *things[K, B, E]) beginLocked(l *Log, r *record[K, B, E]) (queued bool) {
	if queued = l.queueLocked(&r.row, l.limits.maxRows); queued {
		t.begun[r.id] = r
	} else {
		t.lost[r.id] = true
	}
	return queued
}

// endLocked adds the ending of a thing to the row of its beginning if that can still be done, and otherwise queues it as a row of
// its own. It returns that row, also if it is lost. The caller holds Log.mu.
func (t *things[K, B, E]) endLocked(l *Log, id K, end *E) *record[K, B, E] {
	r := t.begun[id]
	if r == nil || !l.canJoinLocked(&r.row) {
		beginning := r
		r = newRecord[K, B, E](id)
		if t.lost[id] {
			delete(t.lost, id)
			l.loseLocked(&r.row, l.lostBeginning(id))
			return r
		}
		if !l.queueLocked(&r.row, l.limits.maxRows) {
			return r
		}
		if beginning != nil {
			beginning.open = false
		}
	}
	r.memory.end = *end
	r.end, r.open = &r.memory.end, false
	delete(t.begun, id)
	return r
}

// lostBeginning returns the error for the ending of a thing whose beginning was lost.
func (l *Log) lostBeginning(id any) error {
	return fmt.Errorf("audit log %s: the beginning of %v was lost, so its ending is lost too", l.file.path, id)
}

// newestID returns the id of the last exchange or publication that begins in the batch, or "" if none does.
func newestID(batch []*row) string {
	for _, r := range slices.Backward(batch) {
		switch e := r.entry.(type) {
		case *exchangeRow:
			if e.begin != nil {
				return e.id
			}
		case *publicationRow:
			if e.begin != nil {
				return e.id
			}
		}
	}
	return ""
}

// isWholeInExchange reports whether a life that has just ended needs no row, because the row of its only exchange can record it
// completely: see 0008_shorter_rows.sql. If life has its first exchange and its ending, the writer has taken neither row, because it
// takes an exchange only together with the life. So the file has no part of them. A life for whose commit Sync waits needs a row,
// because that commit would not be settled without one. The caller holds Log.mu.
func isWholeInExchange(life *lifeRow) bool {
	first := life.first
	if first == nil || first.end == nil || life.commit.then != nil {
		return false
	}
	opened, closed, match, end := life.begin, life.end, first.begin, first.end
	// A search by time relies on the bounds; see idSlack.
	before, skew := openedBefore(opened, match), match.At.UnixMilli()-idTime(match.ID)
	const bound = int64(idSlack/time.Millisecond) / 2
	return closed.Exchanges == 1 && closed.Reason == Idle && closed.Bytes == end.Bytes && closed.At.UnixMilli() == end.At.UnixMilli() &&
		match.Namespace == opened.Namespace && match.Channel == opened.Channel && 0 <= before && before < bound && -bound < skew && skew < bound
}

// openedBefore returns how many milliseconds before the match the channel opened.
func openedBefore(life *Life, match *Match) int64 { return match.At.UnixMilli() - life.At.UnixMilli() }
