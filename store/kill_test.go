package store_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/store"
)

// runChild is the server that TestKill kills. It records exchanges as fast as it can, and prints the id of each
// one that is acknowledged.
func runChild(path string) {
	log, err := store.OpenWith(store.Config{Path: path, Version: "child"}, store.Limits{WALCheck: 64 << 10, WALReset: 256 << 10})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	var lives atomic.Int64
	for worker := range 8 {
		go func() {
			life := store.Life{ID: lives.Add(1), Namespace: "kill", Channel: fmt.Sprint(worker), At: time.Now()}
			log.ChannelOpened(life)
			for n := 0; ; n++ {
				id := newID()
				m := match(id)
				m.Life, m.Namespace, m.Channel, m.At = life.ID, life.Namespace, life.Channel, time.Now()
				matched := log.ExchangeMatched(m)
				if n%3 == 0 {
					matched.Wait() // so that the ending is a separate row
				}
				log.RequestUnmatched(store.Request{Namespace: "kill", Role: "consumer", Outcome: "left"})
				e := end(id, "delivered")
				e.At = time.Now()
				ended := log.ExchangeEnded(e)
				if worker%2 == 0 { // its channel has a life for each exchange
					log.ChannelClosed(store.LifeEnd{ID: life.ID, At: e.At, Reason: "idle", Exchanges: 1, Bytes: 42})
					life.ID, life.At = lives.Add(1), time.Now()
					log.ChannelOpened(life)
				}
				if err := ended.Wait(); err != nil {
					fmt.Println("error:", err)
					os.Exit(1)
				}
				os.Stdout.WriteString(id + "\n") // a single write, so that lines are complete
			}
		}()
	}
	select {}
}

// TestKill kills a server at random times, and each third one while a checkpoint runs. Acknowledged exchanges must be in
// the log, every beginning must have exactly one ending, and the file must be sound. scripts/kill sets how many times.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 60
	if testing.Short() {
		kills = 10
	}
	if text := os.Getenv("HTTPIPE_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	path := tempPath(t)
	acknowledged, midway, checkpoints := 0, 0, 0
	for n := range kills {
		when := killWhen{after: time.Duration(rand.Int64N(int64(60 * time.Millisecond))), early: rand.IntN(10) == 0}
		if n%3 == 0 {
			when = killWhen{checkpoint: true}
		}
		ids, ready := killChild(t, path, when)
		if ready {
			midway++
		}
		if when.checkpoint && checkpointRuns(path) { // it did not end before the signal arrived
			checkpoints++
		}
		acknowledged += len(ids)
		f := start(t, path, store.Config{}, store.Limits{})
		mustClose(t, f)
		checkRows(t, path, ids)
		if t.Failed() {
			return
		}
	}
	wantOne(t, path, fmt.Sprintf("ok|%d", 0), "SELECT (SELECT * FROM pragma_integrity_check), (SELECT count(*) FROM runs WHERE clean IS NULL)")
	t.Logf("%d kills, %d of them of a ready server, %d during a checkpoint; %d exchanges acknowledged, %s recorded",
		kills, midway, checkpoints, acknowledged, one(t, path, "SELECT count(*) FROM exchange"))
	wantOne(t, path, "1", "SELECT count(opened_before_ms) > 0 FROM exchange")
	if midway < kills/2 || acknowledged < kills {
		t.Error("most servers were killed before they did anything")
	}
	if checkpoints < kills/10 {
		t.Errorf("a checkpoint ran at %d of %d kills, want a tenth of them", checkpoints, kills)
	}
}

// killWhen says when to kill a server: after some time, or while a checkpoint runs.
type killWhen struct {
	after      time.Duration // from the moment when it is ready
	early      bool          // from the start of the process instead, when it may not be ready
	checkpoint bool          // during the next checkpoint instead
}

// killChild kills a server, and returns the exchanges that it has acknowledged.
func killChild(t *testing.T, path string, when killWhen) (ids []string, ready bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "HTTPIPE_TEST_CHILD="+path)
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { child.Process.Kill() }
	if when.early {
		time.AfterFunc(when.after, kill)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "error:"):
			t.Fatal(line)
		case line == "ready":
			ready = true
			if when.checkpoint {
				go awaitCheckpoint(path, kill)
			} else {
				time.AfterFunc(when.after, kill)
			}
		default:
			ids = append(ids, line)
		}
	}
	child.Wait() // "signal: killed"
	return ids, ready
}

// awaitCheckpoint calls f when the next checkpoint has begun, or after a second without one.
func awaitCheckpoint(path string, f func()) {
	defer f()
	between := false // a start that has read a WAL looks like a checkpoint that runs
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Microsecond) {
		running := checkpointRuns(path)
		if running && between {
			return
		}
		between = between || !running
	}
}

// checkpointRuns reports whether a checkpoint runs, or ran when its process was killed. The index of the WAL has the number of
// frames that the last checkpoint began to copy, and of those that have been copied and synced (https://sqlite.org/walformat.html).
func checkpointRuns(path string) bool {
	const copied, begun = 96, 128
	index, err := os.ReadFile(path + "-shm")
	if err != nil || len(index) < begun+4 {
		return false
	}
	return binary.NativeEndian.Uint32(index[begun:]) > binary.NativeEndian.Uint32(index[copied:])
}

// checkRows checks the log after a crash and a restart.
func checkRows(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	there := make(map[string]bool)
	for _, id := range query(t, path, "SELECT id FROM exchanges WHERE outcome = 'delivered'") {
		there[id] = true
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("exchange %s was acknowledged but is not recorded as delivered", id)
		}
	}
	wantOne(t, path, "0", `SELECT count(*) FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id
		WHERE (e.ended_at IS NOT NULL) + (x.ended_at IS NOT NULL) <> 1`)
	wantOne(t, path, "0", "SELECT count(*) FROM exchange_end WHERE id NOT IN (SELECT id FROM exchange)")
	wantOne(t, path, "0", "SELECT count(*) FROM exchanges WHERE outcome NOT IN ('delivered', 'interrupted')")
	wantOne(t, path, "0", "SELECT count(*) FROM channels WHERE reason IS NULL OR reason NOT IN ('interrupted', 'idle')")
	wantOne(t, path, "0", "SELECT count(*) FROM exchange WHERE opened_before_ms IS NULL AND life NOT IN (SELECT id FROM life)")
	wantOne(t, path, "0", `SELECT count(*) FROM channels c WHERE
		c.exchanges <> (SELECT count(*) FROM exchange e WHERE e.life = c.id) AND c.id >> 32 = (SELECT max(id) FROM run) - 1`)
	wantOne(t, path, "ok", "PRAGMA quick_check")
}
