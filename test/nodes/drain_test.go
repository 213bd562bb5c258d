package nodes

import (
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"httpipe/nodes"
)

// TestDrain: while a node drains, the stand-in serves its names, and what runs on the node ends as it should: an exchange, and
// a call whose answer has not begun.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := startCluster(t, true)
	here, there := c.balancers[0].url(), c.balancers[1].url()
	name := c.nameOf("n1")
	feed, produced := produce(t, here+"/channels/"+name)
	fmt.Fprint(feed, "begun ")
	consumer, err := open(t.Context(), "GET", there+"/channels/"+name, "")
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Body.Close()
	called := make(chan string, 1)
	go func() {
		status, _, answer, err := send(t.Context(), "POST", here+"/services/"+name, "question")
		called <- fmt.Sprint(status, " ", answer, err)
	}()
	_, work, question, err := send(t.Context(), "GET", there+"/work/"+name, "")
	if question != "question" || err != nil {
		t.Fatalf("the worker got %q, %v", question, err)
	}

	c.signal("n1", syscall.SIGTERM)
	for _, b := range c.balancers {
		c.eventually("another node serves the name", func() bool {
			_, header, _, err := send(t.Context(), "GET", b.url()+"/channels/"+name+"?wait=0", "")
			return err == nil && header.Get("Httpipe-Error") == "timed_out" && header.Get(servedBy) != "n1"
		})
	}
	if status, _, _, err := send(t.Context(), "POST", there+work.Get("Httpipe-Reply"), "answer"); status != http.StatusOK || err != nil {
		t.Errorf("the worker's answer got %d, %v", status, err)
	}
	if got := <-called; got != "200 answer<nil>" {
		t.Errorf("the caller got %q", got)
	}
	fmt.Fprint(feed, "and ended")
	feed.Close()
	if got := <-produced; got != "200 OK" {
		t.Errorf("the producer got %s", got)
	}
	if got, err := io.ReadAll(consumer.Body); string(got) != "begun and ended" || err != nil {
		t.Errorf("the consumer got %q, %v", got, err)
	}
	select {
	case <-c.nodes["n1"].Exited:
	case <-time.After(10 * time.Second):
		t.Error("the node does not exit though nothing runs")
	}
}

// nameOf returns a name that belongs to a node.
func (c *cluster) nameOf(node string) string {
	c.t.Helper()
	table, err := nodes.ReadFile(c.file("n1"))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range 1000 {
		if table.Of("drain", fmt.Sprint(i)).Owner == node {
			return fmt.Sprint("drain/", i)
		}
	}
	c.t.Fatal("no name belongs to ", node)
	return ""
}

// produce sends what is written to feed as the body of a request. produced receives the status, or the error.
func produce(t *testing.T, url string) (feed *io.PipeWriter, produced <-chan string) {
	t.Helper()
	body, feed := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			ended <- err.Error()
			return
		}
		resp.Body.Close()
		ended <- resp.Status
	}()
	return feed, ended
}
