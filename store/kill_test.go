package store_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// runChild is the server that TestKill kills: it records exchanges as fast as it can, and prints the id of each that was
// acknowledged.
func runChild(path string) {
	log, err := store.OpenWith(store.Config{Path: path, Version: "child"}, store.Limits{WALCheck: 64 << 10, WALReset: 256 << 10})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for worker := range 8 {
		go func() {
			life := int64(worker + 1)
			log.ChannelOpened(store.Life{ID: life, Namespace: "kill", Channel: fmt.Sprint(worker), At: time.Now()})
			for n := 0; ; n++ {
				id := newID()
				m := match(id)
				m.Life = life
				matched := log.ExchangeMatched(m)
				if n%3 == 0 {
					matched.Wait() // so that its ending is a row of its own
				}
				log.RequestUnmatched(store.Request{Namespace: "kill", Role: "consumer", Outcome: "left"})
				if err := log.ExchangeEnded(end(id, "delivered")).Wait(); err != nil {
					fmt.Println("error:", err)
					os.Exit(1)
				}
				os.Stdout.WriteString(id + "\n") // one write, so never half a line
			}
		}()
	}
	select {}
}

// A server is killed at a random instant, again and again. What it had acknowledged is there, everything has exactly one
// ending, and the file is sound.
func TestKill(t *testing.T) {
	kills := 60
	if testing.Short() {
		kills = 10
	}
	path := tempPath(t)
	acknowledged, midway := 0, 0
	for range kills {
		ids, ready := killChild(t, path, time.Duration(rand.Int64N(int64(60*time.Millisecond))))
		if ready {
			midway++
		}
		acknowledged += len(ids)
		f := start(t, path, store.Config{}, store.Limits{})
		mustClose(t, f)
		checkBooks(t, path, ids)
		if t.Failed() {
			return
		}
	}
	wantOne(t, path, fmt.Sprintf("ok|%d", 0), "SELECT (SELECT * FROM pragma_integrity_check), (SELECT count(*) FROM runs WHERE clean IS NULL)")
	t.Logf("%d kills, %d of them while it ran, %d exchanges acknowledged, of %s", kills, midway, acknowledged, one(t, path, "SELECT count(*) FROM exchange"))
	if midway < kills/2 || acknowledged < kills {
		t.Error("most children were killed before they did anything; this proves little")
	}
}

// killChild kills a server some time after it started to work, and returns what it had acknowledged.
func killChild(t *testing.T, path string, after time.Duration) (ids []string, ready bool) {
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
	// A tenth of them does not get as far as being ready, if all goes as planned.
	if rand.IntN(10) == 0 {
		time.AfterFunc(after, func() { child.Process.Kill() })
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "error:"):
			t.Fatal(line)
		case line == "ready":
			ready = true
			time.AfterFunc(after, func() { child.Process.Kill() })
		default:
			ids = append(ids, line)
		}
	}
	child.Wait() // "signal: killed"
	return ids, ready
}

// checkBooks checks the log after a crash and a restart.
func checkBooks(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	there := make(map[string]bool)
	for _, id := range query(t, path, "SELECT id FROM exchanges WHERE outcome = 'delivered'") {
		there[id] = true
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("exchange %s was acknowledged and is not there as delivered", id)
		}
	}
	wantOne(t, path, "0", `SELECT count(*) FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id
		WHERE (e.ended_at IS NOT NULL) + (x.ended_at IS NOT NULL) <> 1`)
	wantOne(t, path, "0", "SELECT count(*) FROM exchange_end WHERE id NOT IN (SELECT id FROM exchange)")
	wantOne(t, path, "0", "SELECT count(*) FROM exchanges WHERE outcome NOT IN ('delivered', 'interrupted')")
	wantOne(t, path, "0", "SELECT count(*) FROM channels WHERE reason IS NOT 'interrupted'")
	wantOne(t, path, "0", `SELECT count(*) FROM channels c WHERE
		c.exchanges <> (SELECT count(*) FROM exchange e WHERE e.life = c.id) AND c.id >> 32 = (SELECT max(id) FROM run) - 1`)
	wantOne(t, path, "ok", "PRAGMA quick_check")
}
