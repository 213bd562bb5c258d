package nodes

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// TestScript runs scripts/nodes, and curl through it.
func TestScript(t *testing.T) {
	t.Parallel()
	kit.NeedTool(t, "haproxy")
	_, text, _ := net.SplitHostPort(freeAddress(t))
	cmd := exec.Command("scripts/nodes", text)
	cmd.Env = append(os.Environ(), "HTTPIPE_TEST_BINARY="+kit.Binary(t), "TMPDIR="+t.TempDir())
	kit.EndWithTest(cmd)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + text + "/channels/demo/hello"
	c := &cluster{t: t}
	c.eventually("the nodes serve", func() bool {
		status, _, _, err := send(t.Context(), "GET", url+"?wait=0", "")
		return err == nil && status == 408
	})
	consumer := kit.Curl(url)
	if told := <-kit.Curl("--retry", "3", "-d", "hello", url); told != "" {
		t.Errorf("the producer was told %q", told)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error("after SIGTERM: ", err)
	}
	port, _ := strconv.Atoi(text)
	for i := range 4 {
		if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i))); err == nil {
			conn.Close()
			t.Errorf("something still listens on port %d", port+i)
		}
	}
}
