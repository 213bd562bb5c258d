package nodes

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// traffic is a number of channels with a producer, which comes by one balancer, and a consumer, which comes by the other.
// Each message is sent once, whatever the answer.
type traffic struct {
	cluster *cluster
	stopped context.CancelFunc // of the producers
	cut     context.CancelFunc // of the consumers, between two requests
	sending sync.WaitGroup
	taking  sync.WaitGroup

	mu       sync.Mutex
	sent     int
	acked    map[string]string   // id of the exchange → message
	received map[string][]string // channel → messages
}

func (c *cluster) startTraffic(count int) *traffic {
	t := &traffic{cluster: c, acked: make(map[string]string), received: make(map[string][]string)}
	producing, stop := context.WithCancel(context.Background())
	consuming, cut := context.WithCancel(context.Background())
	t.stopped, t.cut = stop, cut
	c.t.Cleanup(func() { stop(); cut(); t.sending.Wait(); t.taking.Wait() })
	for i := range count {
		channel := fmt.Sprint("busy", i)
		t.sending.Go(func() { t.produce(producing, channel, c.balancers[i%2]) })
		t.taking.Go(func() { t.consume(consuming, channel, c.balancers[1-i%2]) })
	}
	return t
}

func (t *traffic) produce(ctx context.Context, channel string, by *balancer) {
	for n := 0; ctx.Err() == nil; n++ {
		message := fmt.Sprintf("%s %06d", channel, n)
		status, header, _, err := send(context.Background(), "POST", by.url()+"/channels/busy/"+channel+"?wait=1s", message)
		t.mu.Lock()
		t.sent++
		if status == http.StatusOK && err == nil {
			t.acked[header.Get("Httpipe-Exchange")] = message
			t.cluster.ledger.Acknowledged(header.Get("Httpipe-Exchange"), kit.Noted{Channel: "busy/" + channel, Bytes: int64(len(message))})
		}
		t.mu.Unlock()
		if status != http.StatusOK {
			time.Sleep(pause / 4)
		}
	}
}

func (t *traffic) consume(ctx context.Context, channel string, by *balancer) {
	for ctx.Err() == nil {
		status, header, body, err := send(context.Background(), "GET", by.url()+"/channels/busy/"+channel+"?wait=1s", "")
		if status == http.StatusOK && err == nil {
			t.mu.Lock()
			t.received[channel] = append(t.received[channel], body)
			t.cluster.ledger.Received(header.Get("Httpipe-Exchange"), kit.Noted{Channel: "busy/" + channel, Bytes: int64(len(body))})
			t.mu.Unlock()
		} else {
			time.Sleep(pause / 4)
		}
	}
}

// ends stops the traffic, and compares what the clients saw with each other and with the logs of the nodes.
func (t *traffic) ends(test *testing.T) {
	test.Helper()
	t.stopped()
	t.sending.Wait()
	t.cut() // no consumer is hung up: an acknowledged message may be on its way to it
	t.taking.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[string]int)
	for channel, messages := range t.received {
		for i, message := range messages {
			seen[message]++
			if i > 0 && message <= messages[i-1] {
				test.Errorf("%s: %q came after %q", channel, message, messages[i-1])
			}
		}
	}
	for message, n := range seen {
		if n > 1 {
			test.Errorf("%q was delivered %d times", message, n)
		}
	}
	for _, message := range t.acked {
		if seen[message] == 0 {
			test.Errorf("%q was acknowledged and did not arrive", message)
		}
	}
	var logs []string
	for _, name := range names {
		logs = append(logs, name+"="+t.cluster.dir+"/"+name+".db")
	}
	for _, problem := range t.cluster.ledger.Compare(test, kit.Merge(test, logs...)) {
		test.Error("the merged log: ", problem)
	}
	if len(t.acked) < 20 {
		test.Errorf("of %d messages %d were acknowledged: too few to say anything", t.sent, len(t.acked))
	}
	test.Logf("%d messages sent, %d acknowledged, %d received", t.sent, len(t.acked), len(seen))
}
