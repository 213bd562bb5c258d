package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// A cluster is three servers with one table, and for each a name of namespace v1 that it serves.
type cluster struct {
	nodes [3]*kit.Server
	names [3]string
}

// startCluster starts three nodes, n1 to n3, and finds names for them.
func startCluster(t *testing.T, options ...string) *cluster {
	t.Helper()
	c := &cluster{nodes: startNodes(t, [3][]string{options, options, options})}
	for n := 0; slices.Contains(c.names[:], ""); n++ {
		name := fmt.Sprintf("name%d", n)
		var serving []int // at first, a stand-in can serve it too
		for i, p := range c.nodes {
			if status(t, "-I", p.URL+"/channels/v1/"+name, "-u", ":"+kit.Secret) == "404" {
				serving = append(serving, i)
			}
		}
		if len(serving) == 1 {
			c.names[serving[0]] = name
		}
	}
	return c
}

// startNodes starts three nodes, n1 to n3, each with its options.
func startNodes(t *testing.T, options [3][]string) (servers [3]*kit.Server) {
	t.Helper()
	var table strings.Builder
	var addresses [3]string
	for i := range addresses {
		addresses[i] = kit.FreeAddress(t)
		fmt.Fprintf(&table, "node n%d http://%s\n", i+1, addresses[i])
	}
	table.WriteString("slots 3\nslot 0 n1 n2\nslot 1 n2 n3\nslot 2 n3 n1\n")
	path := kit.WriteFile(t, filepath.Join(t.TempDir(), "table"), table.String())
	for i, address := range addresses {
		servers[i] = startAt(t, "http://"+address, slices.Concat([]string{"--nodes", path, "--node", fmt.Sprintf("n%d", i+1)}, options[i])...)
	}
	return servers
}

// startAt starts a server at that address.
func startAt(t *testing.T, url string, args ...string) *kit.Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	cmd := exec.Command(kit.Binary(t), append([]string{"--host", host, "--port", port, "--log-format", "json"}, args...)...)
	cmd.Dir = t.TempDir()
	return kit.StartCommand(t, cmd)
}

// status returns the status of a response.
func status(t *testing.T, args ...string) string {
	t.Helper()
	_, out := kit.Execute(t, t.TempDir(), append([]string{"curl", "-sS", "-o", "out", "-w", "%{http_code}"}, args...)...)
	return out
}

// get returns the status and the body of a response, and how long it took.
func get(t *testing.T, args ...string) (answer string, took time.Duration) {
	t.Helper()
	began := time.Now()
	_, out := kit.Execute(t, t.TempDir(), append([]string{"curl", "-sS", "-w", " %{http_code}"}, args...)...)
	return out, time.Since(began)
}

func wantGet(t *testing.T, want string, args ...string) {
	t.Helper()
	if got, _ := get(t, args...); got != want {
		t.Errorf("%q: %q, want %q", args, got, want)
	}
}

// wait lets a consumer wait on the name of each node.
func (c *cluster) wait(t *testing.T, options ...string) (consumers [3]<-chan string) {
	t.Helper()
	for i, p := range c.nodes {
		consumers[i] = kit.Patient(slices.Concat([]string{"-w", "%{http_code}"}, options, []string{p.URL + "/channels/v1/" + c.names[i]})...)
	}
	for i, p := range c.nodes {
		for status(t, slices.Concat(options, []string{"-I", p.URL + "/channels/v1/" + c.names[i]})...) != "200" {
			time.Sleep(kit.Pause)
		}
	}
	return consumers
}

// exchange relays a message through a node, and returns its id.
func (c *cluster) exchange(t *testing.T, node int) (id string) {
	t.Helper()
	url := c.nodes[node].URL + "/channels/v1/" + c.names[node]
	consumer := kit.Patient(url)
	out, _ := get(t, "-H", "Accept: application/json", "-d", "hello", url)
	var receipt struct{ Exchange string }
	if err := json.Unmarshal([]byte(strings.TrimSuffix(out, " 200")), &receipt); err != nil || <-consumer != "hello" {
		t.Fatalf("%v: %s", err, out)
	}
	return receipt.Exchange
}

// jsonNames returns the names as a JSON array with a line end.
func jsonNames(names ...string) string {
	names = slices.Sorted(slices.Values(names))
	text, _ := json.Marshal(names)
	return string(text) + "\n"
}

// Any node lists the channels of all, deletes them on all, and has the receipts of all.
func TestNodesAnswerForAll(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	id := c.exchange(t, 1)
	consumers := c.wait(t)
	for i, p := range c.nodes {
		wantGet(t, jsonNames(c.names[:]...)+" 200", p.URL+"/channels/v1")
		wantGet(t, `["v1"]`+"\n 200", p.URL+"/channels/namespaces")
		wantGet(t, `{"v1":`+strings.TrimSpace(jsonNames(c.names[:]...))+"}\n 200", p.URL+"/state")
		wantGet(t, jsonNames(c.names[i])+" 200", "-H", "Httpipe-Scope: node", p.URL+"/channels/v1")
		if got := status(t, "-I", p.URL+"/state"); got != "200" {
			t.Errorf("HEAD: %s", got)
		}
		if got, _ := get(t, p.URL+"/exchanges/"+id); !strings.HasPrefix(got, `{"exchange":"`+id+`","namespace":"v1","channel":"`+c.names[1]+`","outcome":"delivered","bytes":5`) {
			t.Errorf("n%d: the receipt is %s", i+1, got)
		}
		if got := status(t, p.URL+"/exchanges/"+id[1:]+"0"); got != "404" {
			t.Errorf("n%d: an unknown exchange: %s", i+1, got)
		}
	}
	wantGet(t, " 204", "-X", "DELETE", c.nodes[0].URL+"/channels/v1")
	for _, consumer := range consumers {
		if got := <-consumer; got != "410" {
			t.Errorf("after DELETE the consumer got %s", got)
		}
	}
	if got := status(t, "-X", "DELETE", c.nodes[0].URL+"/channels/v1") + status(t, c.nodes[2].URL+"/channels/v1"); got != "404404" {
		t.Errorf("nothing is left: %s", got)
	}
	wantGet(t, "[]\n 200", c.nodes[1].URL+"/channels/namespaces")
}

// On the other nodes too a client sees and deletes only the channels that its token permits.
func TestNodesGrantWhatTheClientMay(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--auth-secret", kit.Secret)
	consumers := c.wait(t, "-u", ":"+kit.Secret)
	looker := kit.Token(t, kit.Secret, "--name", "looker", "--allow", "look", "--channels", "v1/"+c.names[1])
	for _, p := range c.nodes {
		wantGet(t, jsonNames(c.names[1])+" 200", "-u", ":"+looker, p.URL+"/channels/v1")
		for _, test := range [][]string{{"401", p.URL + "/state"}, {"401", "-H", "Httpipe-Scope: node", p.URL + "/state"},
			{"403", "-u", ":" + looker, "-X", "DELETE", p.URL + "/channels/v1"},
			{"403", "-u", ":" + looker, "-H", "Httpipe-Scope: node", "-X", "DELETE", p.URL + "/channels/v1"}} {
			if got := status(t, test[1:]...); got != test[0] {
				t.Errorf("%q: %s", test, got)
			}
		}
	}
	wantGet(t, " 204", "-X", "DELETE", c.nodes[0].URL+"/channels/v1?token="+kit.Secret[:len(kit.Secret)-3]+"%2B%2F%3D")
	for _, consumer := range consumers {
		if got := <-consumer; got != "410" {
			t.Errorf("after DELETE the consumer got %s", got)
		}
	}
}

// wantUnreachable checks an answer that names nodes, and that it comes in time.
func wantUnreachable(t *testing.T, which, consequence string, args ...string) {
	t.Helper()
	got, took := get(t, args...)
	if want := "node_unreachable: no answer from the " + which + "; " + consequence + "\n 502"; got != want || took > 8*time.Second {
		t.Errorf("%q: %q after %v, want %q", args, got, took, want)
	}
}

// A node that is stopped or killed is named, in a bounded time. What can be answered or done without it is.
func TestNodesOfWhichOneIsSilent(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	id := c.exchange(t, 1)
	consumers := c.wait(t)
	stopped := c.nodes[2]
	if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	url := c.nodes[0].URL
	done := make(chan bool)
	go func() {
		defer close(done)
		wantUnreachable(t, "node n3", "it is not on record on the others", url+"/exchanges/"+id[1:]+"0")
	}()
	if got, took := get(t, url+"/exchanges/"+id); !strings.Contains(got, id) || took > 2*time.Second {
		t.Errorf("the receipt of n2: %s after %v", got, took)
	}
	wantUnreachable(t, "node n3", "the list would not be complete", url+"/state")
	<-done
	wantUnreachable(t, "node n3", "on all other nodes the namespace is deleted", "-X", "DELETE", url+"/channels/v1")
	for _, consumer := range consumers[:2] {
		if got := <-consumer; got != "410" {
			t.Errorf("after DELETE the consumer got %s", got)
		}
	}
	if err := stopped.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := status(t, "-X", "DELETE", url+"/channels/v1"); got != "204" && got != "404" { // it may have read the first DELETE by now
		t.Errorf("DELETE again: %s", got)
	}
	if got := <-consumers[2]; got != "410" {
		t.Errorf("the consumer on n3 got %s", got)
	}
	stopped.Process.Kill()
	<-stopped.Exited
	wantUnreachable(t, "node n3", "the list would not be complete", url+"/channels/namespaces")
}

// A node with another secret, and a server that is not the node of the table, are not taken for an empty node.
func TestNodesThatAreOthers(t *testing.T) {
	t.Parallel()
	secret := []string{"--auth-secret", kit.Secret}
	nodes := startNodes(t, [3][]string{secret, {"--auth-secret", kit.AnotherSecret}, secret})
	state := []string{"-u", ":" + kit.Secret, nodes[0].URL + "/state"}
	wantUnreachable(t, "node n2", "the list would not be complete", state...)
	nodes[2].Stop(t)
	other := startAt(t, nodes[2].URL, secret...)
	wantUnreachable(t, "nodes n2, n3", "the list would not be complete", state...)
	nodes[0].Stop(t)
	for _, cause := range []string{"it answers 401 Unauthorized unauthorized", `it answers as node \"\": correct the address in the table`} {
		if log := nodes[0].Log.String(); !strings.Contains(log, cause) {
			t.Errorf("the log of n1 lacks %s:\n%s", cause, log)
		}
	}
	other.Stop(t)
}

// The merged log of the nodes has each of their rows once, with its node, and agrees with the notes of the clients.
func TestMergedLogOfNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var ledger kit.Ledger
	var logs []string
	for i, p := range c.nodes {
		for range 3 {
			id, noted := c.exchange(t, i), kit.Noted{Channel: "v1/" + c.names[i], Bytes: 5}
			ledger.Acknowledged(id, noted)
			ledger.Received(id, noted)
		}
		logs = append(logs, filepath.Join(p.Dir, "httpipe.db"))
	}
	merged := kit.Merge(t, logs...) // while the servers run
	if problems := ledger.Compare(t, merged); len(problems) > 0 {
		t.Errorf("the log and the clients disagree:\n%s", strings.Join(problems, "\n"))
	}
	ledger.Acknowledged("not in the log", kit.Noted{Channel: "v1/a"})
	ledger.Received(c.exchange(t, 0), kit.Noted{Channel: "v1/" + c.names[0], Bytes: 4})
	if problems := ledger.Compare(t, kit.Merge(t, logs...)); len(problems) != 3 { // not in the log, not received, 4 bytes instead of 5
		t.Errorf("the ledger lies, and that is all that is found:\n%s", strings.Join(problems, "\n"))
	}
	c.nodes[0].Process.Kill()
	<-c.nodes[0].Exited
	for _, p := range c.nodes[1:] {
		p.Stop(t)
	}
	again := kit.Merge(t, logs...)
	readMerged(t, again, c.names)
	showMerged(t, again)
}

// readMerged reads the merged log of TestMergedLogOfNodes by all commands, and by sqlite3.
func readMerged(t *testing.T, merged string, names [3]string) {
	t.Helper()
	for command, want := range map[string]string{
		"list --limit 10 --json":     `"node":"n1"`,
		"list --channel " + names[1]: "n2 ",
		"list channels":              "v1/" + names[1],
		"summary":                    "exchanges 10,",
		"tail --limit 10":            "v1/" + names[0],
		"export --format ndjson":     `"node":"n3"`,
		"check":                      "sound",
	} {
		args := append(append([]string{"audit"}, strings.Fields(command)...), "--audit-db", merged)
		if code, out := kit.Run(t, t.TempDir(), args...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%q: %d, %s", args, code, out)
		}
	}
	if code, out := kit.Run(t, t.TempDir(), "audit", "backup", "--audit-db", merged, "copy.db"); code != 0 || !strings.Contains(out, "exchanges 10") {
		t.Errorf("backup: %d, %s", code, out)
	}
	_, out := kit.Execute(t, t.TempDir(), "sqlite3", "-readonly", merged, "SELECT node, count(*) FROM exchanges GROUP BY node")
	if out != "n1|4\nn2|3\nn3|3\n" {
		t.Errorf("sqlite3 says %s", out)
	}
}

// showMerged checks that no server writes to the log, and that one shows it.
func showMerged(t *testing.T, merged string) {
	t.Helper()
	if code, out := kit.Run(t, t.TempDir(), "--audit-db", merged, "--port", "0"); code != 1 || !strings.Contains(out, "for reading only; --audit read-only shows it") {
		t.Errorf("a server on the merged log: %d, %s", code, out)
	}

	reader := kit.Start(t, t.TempDir(), "--audit", "read-only", "--audit-db", merged)
	_, key := kit.Run(t, reader.Dir, "audit", "key", "--audit-db", merged)
	key = strings.TrimSpace(key)
	rows, _ := get(t, "-u", ":"+key, "-H", "Accept: application/x-ndjson", reader.URL+"/audit/exchanges")
	if strings.Count(rows, `"node":"n1"`) != 4 || strings.Count(rows, "\n") != 10 {
		t.Errorf("the rows over HTTP: %s", rows)
	}
	for want, args := range map[string][]string{
		"200": {reader.URL + "/audit"},
		"503": {"-d", "hello", reader.URL + "/channels/v1/a"},
		"401": {reader.URL + "/audit/exchanges"},
	} {
		if got := status(t, args...); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
	wantGet(t, "audit_unavailable: this server only shows an audit log, and relays nothing (--audit=read-only)\n 503", reader.URL+"/healthz")
	if answer, _ := get(t, "-i", "-d", "hello", reader.URL+"/channels/v1/a"); !strings.Contains(answer, "only shows an audit log") || strings.Contains(answer, "Retry-After") {
		t.Errorf("a producer gets %s", answer)
	}
	reader.Stop(t)
}
