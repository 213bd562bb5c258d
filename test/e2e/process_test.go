package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// Crashes, shutdown, large bodies, and the modes of --audit.

// TestKilled checks that after a kill the next start records running exchanges as interrupted, and that acknowledged ones are
// in the log.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	p := kit.Start(t, dir)
	consumer := kit.Curl(p.URL + "/channels/v1/done")
	if got := <-kit.Curl("-d", "hello", p.URL+"/channels/v1/done"); got != "" {
		t.Fatalf("the producer was told %q", got)
	}
	if got := <-consumer; got != "hello" {
		t.Fatalf("the consumer got %q", got)
	}
	body, feed := io.Pipe()
	defer feed.Close()
	go http.Post(p.URL+"/channels/v1/running", "text/plain", body)
	go io.WriteString(feed, "half")
	resp, err := http.Get(p.URL + "/channels/v1/running")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	if got, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the consumer's body looks complete: %q", got)
	}

	p = kit.Start(t, dir)
	for query, want := range map[string]string{
		"select channel, outcome, bytes from exchanges order by id":                                         "done|delivered|5\nrunning|interrupted|",
		"select channel, reason, exchanges from channels order by id":                                       "done|idle|1\nrunning|interrupted|1",
		"select clean, stopped_at is null from runs order by started_at limit 1":                            "0|1",
		"select ended_at = (select max(started_at) from runs) from exchanges where outcome = 'interrupted'": "1",
		"pragma integrity_check": "ok",
	} {
		if got := p.SQLite(t, query); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", query, got, want)
		}
	}
	p.Stop(t)
}

// TestSigtermUnderLoad checks that a busy server shuts down cleanly, that its log has all exchanges that it acknowledged, and
// that it works when it is started again.
func TestSigtermUnderLoad(t *testing.T) {
	dir := t.TempDir()
	p := kit.Start(t, dir)
	l := kit.StartLoad(t, p.URL, 16)
	l.More(t, 300)
	l.ServerStops()
	p.Stop(t)
	l.Stop(t)

	recorded := strings.Fields(p.SQLite(t, "select id from exchanges where outcome = 'delivered'"))
	slices.Sort(recorded)
	for _, id := range l.Acknowledged() {
		if _, ok := slices.BinarySearch(recorded, id); !ok {
			t.Errorf("acknowledged, and not on record: %s", id)
		}
	}
	for query, want := range map[string]string{
		"select clean, lost from runs":                          "1|0",
		"select count(*) from exchanges where outcome = 'open'": "0",
		"select count(*) from channels where closed_at is null": "0",
	} {
		if got := p.SQLite(t, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	p = kit.Start(t, dir)
	l = kit.StartLoad(t, p.URL, 2)
	l.More(t, 20)
	l.Stop(t)
	p.Stop(t)
	if code, output := kit.Run(t, dir, "audit", "check"); code != 0 || !strings.Contains(output, "runs 2 (unclean 0)") {
		t.Errorf("the log in the end: exit %d, %s", code, output)
	}
}

// TestTwoGigabytes checks that memory does not grow with the body.
func TestTwoGigabytes(t *testing.T) {
	const size = 2 << 30
	p := kit.StartPlain(t, t.TempDir())
	produced := make(chan error, 1)
	go func() {
		resp, err := http.Post(p.URL+"/channels/v1/large", "application/zip", io.LimitReader(kit.Zeros{}, size))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("the producer got %s", resp.Status)
			}
		}
		produced <- err
	}()
	resp, err := http.Get(p.URL + "/channels/v1/large")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("the consumer got %d bytes, %v", n, err)
	}
	if err := <-produced; err != nil {
		t.Error(err)
	}
	if peak := peakMemory(t, p); peak > 80<<20 {
		t.Errorf("%d MB of memory at the peak", peak>>20)
	}
}

// peakMemory is the most memory that the process has had resident so far, in bytes.
func peakMemory(t *testing.T, p *kit.Server) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Skip("no /proc to read memory from")
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// TestAuditModes checks that an exchange works in each mode of --audit, and which of them record it.
func TestAuditModes(t *testing.T) {
	for _, mode := range []string{"best-effort", "off", "strict", "required"} {
		t.Run(mode, func(t *testing.T) {
			p := kit.Start(t, t.TempDir(), "--audit", mode)
			consumer := kit.Curl(p.URL + "/channels/v1/a")
			producer := kit.Curl("-d", "hello", p.URL+"/channels/v1/a")
			if got := <-consumer + <-producer; got != "hello" {
				t.Fatalf("the two got %q", got)
			}
			_, err := os.Stat(p.Dir + "/httpipe.db")
			if mode == "off" && !os.IsNotExist(err) {
				t.Errorf("there is a log: %v", err)
			}
			if mode != "off" {
				if got := p.SQLite(t, "select outcome from exchanges"); got != "delivered" {
					t.Errorf("on record: %q", got)
				}
			}
		})
	}
}

// TestLogDeleted checks that requests are refused while the log is missing, and served again when it is back.
func TestLogDeleted(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	path := p.Dir + "/httpipe.db"
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	status := func() int {
		resp, err := http.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for status() != http.StatusServiceUnavailable {
		time.Sleep(kit.Pause)
	}
	if got := <-kit.Curl("-w", "%{http_code}", p.URL+"/channels/v1/a"); got != "503" {
		t.Errorf("a consumer without a log got %q, want an empty 503", got)
	}
	if got := <-kit.Curl("-d", "a", p.URL+"/channels/v1/a"); !strings.HasPrefix(got, "audit_unavailable: ") {
		t.Errorf("a producer without a log got %q", got)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	for status() != http.StatusOK {
		time.Sleep(kit.Pause)
	}
	consumer := kit.Curl(p.URL + "/channels/v1/a")
	if got := <-kit.Curl("-d", "back", p.URL+"/channels/v1/a"); got != "" {
		t.Errorf("the producer got %q", got)
	}
	if got := <-consumer; got != "back" {
		t.Errorf("the consumer got %q", got)
	}
	p.Process.Signal(syscall.SIGTERM)
	<-p.Exited
	if got := p.SQLite(t, "select outcome from exchanges"); got != "delivered" {
		t.Errorf("on record: %q", got)
	}
}
