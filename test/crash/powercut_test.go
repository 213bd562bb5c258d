package crash

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"httpipe/store"

	"httpipe/test/kit"
)

// TestPowerCut: what a producer was told is on disk is there after the power has failed.
//
// strace records what a busy server does to its files, and when it begins to answer producers. A model of
// the disk (drive) then goes through that again, and the power fails at many of the answers and at other
// moments: writes that had not been synced by then are lost, or torn: only some of their sectors are there.
// SQLite, and sometimes the server, opens the result. It must be sound, and must have every exchange that
// was acknowledged by then as delivered.
//
// The same with synchronous=NORMAL, which does not sync at each commit, has to find losses. If it did not,
// the test would be blind.
func TestPowerCut(t *testing.T) {
	needStrace(t)
	// It begins its WAL again after every few commits, so that many cuts hit a checkpoint, or find old frames behind those in use.
	smallWAL := kit.Variant(t, "store/store.go", "walCheckpointSize: 4 << 20", "walCheckpointSize: 64 << 10",
		"walRestartSize:    64 << 20", "walRestartSize: 256 << 10", "walInterval:       100 *", "walInterval: 10 *")
	first := stint{least: kit.Tally{Acknowledged: 1}} // makes the log, which takes a number of calls
	for _, test := range []struct {
		name   string
		stints []stint
		rounds int // how many times the WAL begins, at least; a checkpoint must run at twice as many cuts
	}{
		{"FULL", []stint{{least: kit.Tally{Acknowledged: 600}}}, 1},
		{"SmallWAL", []stint{{program: smallWAL, least: kit.Tally{Acknowledged: 1000}}}, 5},
		{"SmallWALOnFailingDisk", []stint{first, {program: smallWAL, fault: "fsync:error=EIO:when=20..22", least: kit.Tally{Acknowledged: 500, Unrecorded: 1}}}, 5},
		// What is acknowledged must not depend on what an fsync has failed to write before. strace counts by
		// thread, so there are several such times.
		{"FailingDisk", []stint{first, {fault: "fsync:error=EIO:when=10..12", least: kit.Tally{Acknowledged: 500, Unrecorded: 20}}}, 1},
		{"RestartOnFailingDisk", []stint{first, {fault: "fsync:error=EIO:when=8+", least: kit.Tally{Unrecorded: 1}}, {least: kit.Tally{Acknowledged: 200}}}, 1},
		{"FullDisk", []stint{first, {fault: "pwrite64:error=ENOSPC:when=100+50", least: kit.Tally{Acknowledged: 200, Unrecorded: 5}}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, test.stints...)
			lost := r.cutPower(t, nil)
			t.Logf("unsynced writes are lost: %v", lost)
			torn := r.cutPower(t, rand.New(rand.NewPCG(1, 2)))
			t.Logf("unsynced writes are torn: %v", torn)
			if lost.rounds < test.rounds {
				t.Errorf("the WAL began %d times, want at least %d", lost.rounds, test.rounds)
			}
			if want := 2 * test.rounds; lost.checkpoints < want {
				t.Errorf("a checkpoint ran at %d power cuts, want at least %d", lost.checkpoints, want)
			}
			if lost.lossy+torn.lossy > 0 {
				t.Error("acknowledged exchanges were lost")
			}
		})
	}
	t.Run("NORMAL", func(t *testing.T) {
		t.Parallel()
		program := kit.Variant(t, "store/session.go", `{"FULL"}`, `{"NORMAL"}`, `{"synchronous", "2"}`, `{"synchronous", "1"}`)
		lost := record(t, stint{program: program, least: kit.Tally{Acknowledged: 600}}).cutPower(t, nil)
		t.Logf("unsynced writes are lost: %v", lost)
		if lost.lossy < lost.images/4 { // after a checkpoint nothing is lost
			t.Error("this test is blind")
		}
	})
}

// A stint is a run of a server under load and strace.
type stint struct {
	program string    // "": the product
	fault   string    // what strace injects
	least   kit.Tally // what makes it long enough
}

// A recording is what some runs did, one after the other on the same log.
type recording struct {
	traces       []string
	log          string   // where the servers had their log
	acknowledged []string // by all of them, in no certain order
}

func record(t *testing.T, stints ...stint) recording {
	t.Helper()
	dir := t.TempDir()
	r := recording{log: filepath.Join(dir, "httpipe.db")}
	for _, stint := range stints {
		options := []string{"-e", recorded}
		if stint.fault != "" {
			options = append(options, "-e", "inject="+stint.fault)
		}
		s := startTraced(t, stint.program, dir, options...)
		l := kit.StartLoad(t, s.URL, 16)
		l.Await(t, "enough", func(now kit.Tally) bool {
			return now.Acknowledged >= stint.least.Acknowledged && now.Unrecorded >= stint.least.Unrecorded
		})
		if stint.fault == "" {
			l.Stop(t)
			if s.end(t, syscall.SIGTERM); s.ExitErr != nil {
				t.Errorf("after SIGTERM: %v", s.ExitErr)
			}
		} else { // it may be unable to shut down cleanly, and must not have the time to recover
			l.Abandon(t)
			s.end(t, syscall.SIGKILL)
		}
		r.traces = append(r.traces, s.trace)
		r.acknowledged = append(r.acknowledged, l.Acknowledged()...)
	}
	return r
}

// A verdict is what power cuts have come to.
type verdict struct {
	acknowledged, images, lossy, worst int
	fsyncs, failedFsyncs               int
	rounds                             int // of the WAL: how many times its header was written
	checkpoints                        int // power cuts while a checkpoint ran
}

func (v verdict) String() string {
	return fmt.Sprintf("%d exchanges acknowledged, %d fsyncs (%d failed), %d rounds of the WAL, %d power cuts, %d of them during a checkpoint, %d lost an acknowledged exchange, the worst %d",
		v.acknowledged, v.fsyncs, v.failedFsyncs, v.rounds, v.images, v.checkpoints, v.lossy, v.worst)
}

// cutPower replays the recording and cuts the power at many moments of it: at each nth answer to a producer, and
// at each nth event of a kind that a checkpoint has many of.
func (r recording) cutPower(t *testing.T, rng *rand.Rand) verdict {
	t.Helper()
	const eachAnswer, eachOther = 16, 3
	var traces []io.Reader
	for _, path := range r.traces {
		trace, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer trace.Close()
		traces = append(traces, trace)
	}
	var v verdict
	others := 0
	d := newDrive(r.log, rng)
	for e, err := range d.replay(io.MultiReader(traces...)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ends && e.call == "pwrite64" && e.file() == r.log+"-wal" && e.number() == 0 {
			v.rounds++
		}
		cut := len(d.acknowledged) > v.acknowledged && len(d.acknowledged)%eachAnswer == 0
		v.acknowledged = len(d.acknowledged)
		if e.ends && (e.file() == r.log || e.call == "ftruncate" || e.call == "unlink") {
			others++
			cut = cut || others%eachOther == 0
		}
		if !cut {
			continue
		}
		v.images++
		if d.copying() && v.rounds > 0 {
			v.checkpoints++
		}
		lost := d.lost(t, v.images%60 == 0 || v.acknowledged == 0) // there may be no tables yet
		if lost > 0 {
			v.lossy++
			v.worst = max(v.worst, lost)
		}
	}
	v.fsyncs, v.failedFsyncs = d.fsyncs, d.failedFsyncs
	if v.acknowledged < len(r.acknowledged) {
		t.Errorf("the trace has only %d acknowledgements, producers got %d", v.acknowledged, len(r.acknowledged))
	}
	return v
}

// lost cuts the power, and returns how many of the exchanges that were acknowledged are not in what is left of the log as
// delivered. SQLite opens that, or a server first.
func (d *drive) lost(t *testing.T, server bool) (lost int) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := d.image(dir); err != nil {
		t.Fatal(err)
	}
	if server {
		kit.Start(t, dir).Stop(t)
	}
	outcomes, err := read(dir)
	if err != nil {
		t.Fatalf("after %d acknowledgements: %v", len(d.acknowledged), err)
	}
	for _, id := range d.acknowledged {
		if outcomes[id] != store.Delivered {
			lost++
		}
	}
	return lost
}

// read returns how each exchange ended, by the log in the directory. It is an error if that is not sound.
func read(dir string) (outcomes map[string]string, err error) {
	db, err := sql.Open("sqlite3", filepath.Join(dir, "httpipe.db")+"?_synchronous=OFF") // the test's own writes may be lost
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		return nil, fmt.Errorf("integrity check: %s %w", verdict, err)
	}
	// No row is there without the earlier row that it refers to: a commit is complete or absent.
	var halves int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM exchange WHERE opened_before_ms IS NULL AND life NOT IN (SELECT id FROM life)) +
		(SELECT count(*) FROM exchange_end WHERE id NOT IN (SELECT id FROM exchange)) +
		(SELECT count(*) FROM life_end WHERE id NOT IN (SELECT id FROM life))`).Scan(&halves); err != nil || halves > 0 {
		return nil, fmt.Errorf("%d rows refer to rows that are missing %w", halves, err)
	}
	rows, err := db.Query("SELECT id, outcome FROM exchanges")
	if err != nil {
		return nil, err
	}
	outcomes = make(map[string]string)
	for rows.Next() {
		var id, outcome string
		if err := rows.Scan(&id, &outcome); err != nil {
			return nil, err
		}
		outcomes[id] = outcome
	}
	return outcomes, rows.Err()
}
