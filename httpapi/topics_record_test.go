package httpapi

import (
	"bufio"
	"strings"
	"testing"

	"httpipe/metrics"
)

// Publishing is to produce, subscribing is to consume.
func TestTopicAccess(t *testing.T) {
	r := start(t, guarded(t, "produce:n/*"))
	r.dial().Post(topicHere, "x").Answer().Is(200)
	r.dial().Get(topicHere).Answer().Failed(401, "unauthorized")
	r.dial().Get(topicHere, asEvents).Answer().Failed(401, "unauthorized")
	r.dial().Request("DELETE", topicHere).Answer().Failed(401, "unauthorized")
	c := r.dial().Get(topicHere, "Authorization: Bearer "+sign(t, secret, "consume:n/c"))
	r.subscribed(1)
	r.published("x", 1, 1)
	c.Answer().Got("x")
	r.dial().Post("/topics/m/c", "x").Answer().Failed(401, "unauthorized")
}

// A token for a topic's history opens that, and no other.
func TestTopicHistoryAccess(t *testing.T) {
	r := start(t, stored(t), guarded(t))
	token := "Authorization: Bearer " + sign(t, secret, "audit:n/c")
	r.dial().Get("/audit/publications?namespace=n&topic=c", token).Answer().Is(200)
	r.dial().Get("/audit/subscriptions?namespace=n&topic=c", token).Answer().Is(200)
	r.dial().Get("/audit/publications?namespace=n&topic=d", token).Answer().Failed(403, "forbidden")
	r.dial().Get("/audit/publications?topic=c", token).Answer().Failed(403, "forbidden")
	r.dial().Get("/audit/publications", token).Answer().Failed(403, "forbidden")
}

// The log agrees with what the clients were told.
func TestTopicOnRecord(t *testing.T) {
	r := start(t, stored(t), func(c *Config) { c.Limits.Waiting = 1 })
	one := r.dial().Get(topicHere, "User-Agent: tester")
	r.subscribed(1)
	r.dial().Get(topicHere).Answer().Failed(503, "refused")
	id := r.published("hello", 1, 1)
	one.Answer().Got("hello")
	if err := r.config.Log.Sync(); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string][]string{
		"/audit/publications?topic=c&outcome=published": {id, `"subscribers":1,"delivered":1`},
		"/audit/subscriptions?namespace=n":              {`"outcome":"delivered","messages":1,"bytes":5,"first":"` + id + `","last":"` + id + `"`, "tester"},
		"/audit/requests?shape=topic":                   {`"reason":"max-waiting"`, `"role":"consumer"`},
	} {
		a := r.dial().Get(path, withKey, "Accept: application/json").Answer().Is(200)
		for _, word := range words {
			if !strings.Contains(a.Text, word) {
				t.Errorf("%s: %s has no %s", path, a.Text, word)
			}
		}
	}
	if a := r.dial().Get("/audit/requests?shape=channel", withKey).Answer().Is(200); strings.Contains(a.Text, "max-waiting") {
		t.Errorf("the refusal is filed under channel: %s", a.Text)
	}
}

func TestTopicsAreCounted(t *testing.T) {
	m := metrics.New()
	r := start(t, stored(t), func(c *Config) { c.Metrics = m })
	url := scraped(t, m)
	stream, one := r.connect().Get(topicHere, asEvents), r.dial().Get(topicHere)
	r.subscribed(2)
	if got := scrape(t, url); got["subscriptions"] != "2" {
		t.Errorf("%v", got)
	}
	r.published("hello", 2, 2)
	one.Answer().Got("hello")
	stream.HangUp()
	r.subscribed(0)
	got := scrape(t, url)
	for name, want := range map[string]string{`publications_total{outcome="published"}`: "1", "deliveries_total": "2", "subscriptions": "0", "message_memory_bytes": "0",
		`subscriptions_total{outcome="delivered"}`: "1", `subscriptions_total{outcome="left"}`: "1", `subscriptions_total{outcome="stalled"}`: "0"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %s", name, got[name], want)
		}
	}
}

func TestTopicsInTheLiveView(t *testing.T) {
	r := start(t)
	r.follow(topicHere, asEvents)
	r.dial().Post(topicHere+"?subscribers=5", "x")
	r.subscribed(1)
	eventually(t, patience, "a publisher waits", func() bool { return r.broker.Load().Publishers == 1 })
	line, err := bufio.NewReader(r.follow("/audit/live", withKey).Body).ReadString('\n')
	if want := `"subscriptions":1,"publications":0,"topics":[{"namespace":"n","topic":"c","subscribers":1,"sending":0,"waiting":1}],"topics_omitted":0`; err != nil || !strings.Contains(line, want) {
		t.Errorf("the view is %s (%v), want %s", line, err, want)
	}
}
