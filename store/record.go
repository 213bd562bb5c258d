package store

import (
	"database/sql"
	"fmt"
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

	// Of a row of the batch; set by take, and by the writer.
	failed   bool // its Commit had failed
	whole    bool // of a life: the row of its only exchange records it too, so it gets none
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

func newBeginning[K comparable, B, E any](begin B) *record[K, B, E] {
	r := &record[K, B, E]{row: row{open: true}}
	r.entry = r
	r.memory.begin = begin
	r.begin = &r.memory.begin
	return r
}

func (r *record[K, B, E]) setEnd(end E) {
	r.memory.end = end
	r.end, r.open = &r.memory.end, false
}

// String describes r for a log line.
func (r *record[K, B, E]) String() string { return fmt.Sprintf("%+v %+v", r.begin, r.end) }

// missing returns the beginning and the ending of r without what the file already has. question is the has query for that kind of
// thing, and args are its arguments.
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

// beginLocked queues the beginning of a thing, and reports whether there was room for it. The caller holds Log.mu.
func (t *things[K, B, E]) beginLocked(l *Log, id K, r *record[K, B, E]) (queued bool) {
	r.id = id
	if queued = l.queueLocked(&r.row, l.limits.maxRows); queued {
		t.begun[id] = r
	} else {
		t.lost[id] = true
	}
	return queued
}

// endLocked adds the ending of a thing to the row of its beginning if that can still be done, and otherwise queues it as a row of
// its own. The caller holds Log.mu.
func (t *things[K, B, E]) endLocked(l *Log, id K, end E) *Commit {
	r := t.begun[id]
	if r == nil || !l.canJoinLocked(&r.row) {
		begun := r
		r = &record[K, B, E]{id: id}
		r.entry = r
		if t.lost[id] {
			delete(t.lost, id)
			return l.loseLocked(&r.row, l.lostBeginning(id))
		}
		if !l.queueLocked(&r.row, l.limits.maxRows) {
			return &r.commit
		}
		if begun != nil {
			begun.open = false
		}
	}
	r.setEnd(end)
	delete(t.begun, id)
	return &r.commit
}

func (l *Log) lostBeginning(id any) error {
	return fmt.Errorf("audit log %s: the beginning of %v was lost, so its ending is lost too", l.file.path, id)
}

// isWholeInExchange reports whether r is a life that needs no row, because the row of its only exchange can record it
// completely: see 0008_shorter_rows.sql. Log.mu must be held.
func (r *row) isWholeInExchange() bool {
	life, ok := r.entry.(*lifeRow)
	if !ok || life.begin == nil || life.end == nil || r.first == nil || r.first.end == nil || !r.first.commit.taken || r.first.rejected {
		return false
	}
	opened, closed, match, end := life.begin, life.end, r.first.begin, r.first.end
	// A search by time relies on the bounds; see idSlack.
	before, skew := openedBefore(opened, match), match.At.UnixMilli()-idTime(match.ID)
	const bound = int64(idSlack/time.Millisecond) / 2
	return closed.Exchanges == 1 && closed.Reason == Idle && closed.Bytes == end.Bytes && closed.At.UnixMilli() == end.At.UnixMilli() &&
		match.Namespace == opened.Namespace && match.Channel == opened.Channel && 0 <= before && before < bound && -bound < skew && skew < bound
}

// openedBefore returns how many milliseconds before the match the channel opened.
func openedBefore(life *Life, match *Match) int64 { return match.At.UnixMilli() - life.At.UnixMilli() }
