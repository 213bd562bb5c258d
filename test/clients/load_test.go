package clients

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// Load generators that people try a server with, as producers and as consumers: each request of the one is answered by one
// of the other, on few connections.

func TestApacheBench(t *testing.T) {
	t.Parallel()
	kit.NeedTool(t, "ab")
	s := kit.Start(t, t.TempDir())
	url := s.URL + "/channels/load/ab"
	body := kit.WriteFile(t, filepath.Join(t.TempDir(), "body"), "hello")
	bench := []string{"ab", "-q", "-k", "-n", "1000", "-c", "8"} // -k: keep-alive, in HTTP/1.0
	both(t, s, url, append(bench, "-p", body, "-T", "text/plain"), bench, func(output string) bool {
		words := strings.Join(strings.Fields(output), " ")
		return strings.Contains(words, "Complete requests: 1000 Failed requests: 0 Keep-Alive requests: 1000 ") && !strings.Contains(words, "Non-2xx")
	})
}

func TestHey(t *testing.T) {
	t.Parallel()
	kit.NeedTool(t, "hey")
	s := kit.Start(t, t.TempDir())
	bench := []string{"hey", "-n", "1000", "-c", "8"}
	both(t, s, s.URL+"/channels/load/hey", append(bench, "-m", "POST", "-d", "hello"), bench, func(output string) bool {
		return strings.Contains(output, "[200]\t1000 responses\n") && !strings.Contains(output, "Error distribution")
	})
}

// both runs two commands for url, and requires that both print what is good and that 1,000 messages were delivered.
func both(t *testing.T, s *kit.Server, url string, produce, consume []string, good func(output string) bool) {
	t.Helper()
	outputs := make(chan string, 2)
	for _, command := range [][]string{produce, consume} {
		go func() {
			out, err := exec.CommandContext(t.Context(), command[0], append(command[1:len(command):len(command)], url)...).CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			outputs <- string(out)
		}()
	}
	for range 2 {
		if output := <-outputs; !good(output) {
			t.Errorf("it printed\n%s", output)
		}
	}
	s.Stop(t)
	const delivered = "select count(*), sum(bytes) from exchanges where outcome = 'delivered'"
	if got := s.SQLite(t, delivered); got != "1000|5000" {
		t.Errorf("messages and bytes delivered: %s, want 1000|5000", got)
	}
}
