package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

func publication(id string) store.Publication {
	return store.Publication{ID: id, Namespace: "v1", Topic: "news", ContentType: "text/plain", Bytes: 5, At: noon, Subscribers: 3,
		Client: store.Client{Addr: "192.0.2.1", Agent: "curl/8", Subject: "ci", RequestID: "01J"}}
}

func published(id string, delivered int64) store.PublicationEnd {
	return store.PublicationEnd{ID: id, At: noon.Add(time.Second), Outcome: store.Published, Delivered: delivered, OutcomeIfFailed: "unrecorded"}
}

func subscription(id string) store.Subscription {
	return store.Subscription{ID: id, Namespace: "v1", Topic: "news", At: noon, Client: store.Client{Addr: "2001:db8::1", Agent: "wget", Subject: "me", RequestID: "02J"}}
}

// onTopic records a publication and a subscription at that time, and calls between, if it is not nil, before their ends.
func onTopic(f fixture, at time.Time, between func()) {
	p, s := publication(idAt(at)), subscription(idAt(at))
	p.At, s.At = at, at
	f.SubscriptionOpened(s)
	f.PublicationAccepted(p)
	if between != nil {
		between()
	}
	f.PublicationEnded(store.PublicationEnd{ID: p.ID, At: at.Add(time.Second), Outcome: store.Published, Delivered: 1})
	f.SubscriptionEnded(store.SubscriptionEnd{ID: s.ID, At: at.Add(time.Second), Outcome: "left", Messages: 1, First: p.ID, Last: p.ID})
}

// recordOnTopic records a publication and a subscription, some of which do not end, for record.
func recordOnTopic(f fixture, rng *rand.Rand, namespace, topic string, at time.Time) {
	p, s := publication(idAt(at)), subscription(idAt(at))
	p.Namespace, p.Topic, p.At, s.Namespace, s.Topic, s.At = namespace, topic, at, namespace, topic, at
	f.PublicationAccepted(p)
	f.SubscriptionOpened(s)
	if rng.IntN(2) == 0 {
		f.Sync() // so that the ends are separate rows
	}
	if rng.IntN(3) > 0 {
		f.PublicationEnded(store.PublicationEnd{ID: p.ID, At: at.Add(time.Minute), Outcome: store.Published})
		f.SubscriptionEnded(store.SubscriptionEnd{ID: s.ID, At: at.Add(time.Minute), Outcome: []string{"left", "stalled", "delivered"}[rng.IntN(3)]})
	}
}

const (
	publicationColumns  = "id, namespace, topic, outcome, bytes, content_type, published_at, subscribers, delivered, producer_addr, producer_agent, producer_subject, producer_request_id"
	subscriptionColumns = "id, namespace, topic, subscribed_at, ended_at, outcome, messages, bytes, first, last, addr, agent, subject, request_id"
)

// TestTopicRows checks the views while a message is being sent and after it, in one commit and in two.
func TestTopicRows(t *testing.T) {
	f := open(t)
	s, p, q := newID(), newID(), newID()
	f.SubscriptionOpened(subscription(s))
	f.PublicationAccepted(publication(p))
	f.sync(t)
	const who = "|192.0.2.1|curl/8|ci|01J"
	wantOne(t, f.path, p+"|v1|news|open|5|text/plain|2026-02-03T12:00:00.123Z|3|NULL"+who, "SELECT "+publicationColumns+" FROM publications")
	wantOne(t, f.path, s+"|v1|news|2026-02-03T12:00:00.123Z|NULL|open|NULL|NULL|NULL|NULL|2001:db8::1|wget|me|02J", "SELECT "+subscriptionColumns+" FROM subscriptions")

	wait(t, f.PublicationEnded(published(p, 2)))
	release := holdLock(t, f.path)
	f.PublicationAccepted(publication(q))
	f.PublicationEnded(published(q, 1))
	end := f.SubscriptionEnded(store.SubscriptionEnd{ID: s, At: noon.Add(time.Minute), Outcome: "left", Messages: 2, Bytes: 10, First: p, Last: q})
	release()
	wait(t, end)
	for id, delivered := range map[string]int{p: 2, q: 1} {
		wantOne(t, f.path, fmt.Sprintf("%s|v1|news|published|5|text/plain|2026-02-03T12:00:00.123Z|3|%d%s", id, delivered, who), "SELECT "+publicationColumns+" FROM publications WHERE id = ?", id)
	}
	wantOne(t, f.path, s+"|v1|news|2026-02-03T12:00:00.123Z|2026-02-03T12:01:00.123Z|left|2|10|"+p+"|"+q+"|2001:db8::1|wget|me|02J", "SELECT "+subscriptionColumns+" FROM subscriptions")
	wantOne(t, f.path, "1|1", "SELECT (SELECT count(*) FROM publication_end), (SELECT count(*) FROM subscription_end)")
	if report := wantProblems(t, f.path); report.Publications != 2 || report.Subscriptions != 1 || report.OpenOnTopics != 0 {
		t.Errorf("the report is %+v", report)
	}
}

// TestDeliveries checks that the view has what each subscription took, and nothing else.
func TestDeliveries(t *testing.T) {
	f := open(t)
	var ids []string
	for range 6 {
		ids = append(ids, newID())
	}
	other := newID()
	for i, id := range append(slices.Clone(ids), other) {
		p := publication(id)
		if id == other {
			p.Topic = "other"
		}
		f.PublicationAccepted(p)
		end := published(id, 1)
		switch i {
		case 2: // withheld
			end.Outcome, end.Delivered = "unrecorded", 0
		case 3: // on record too late
			end.Outcome = "unrecorded"
		}
		f.PublicationEnded(end)
	}
	took := func(messages int64, first, last string) string {
		s := subscription(newID())
		f.SubscriptionOpened(s)
		wait(t, f.SubscriptionEnded(store.SubscriptionEnd{ID: s.ID, At: noon, Outcome: "left", Messages: messages, First: first, Last: last}))
		return s.ID
	}
	a, b, none := took(4, ids[0], ids[4]), took(2, ids[4], ids[5]), took(0, "", "")
	var want []string
	for _, id := range []string{ids[0], ids[1], ids[3], ids[4]} {
		want = append(want, a+"|"+id)
	}
	want = append(want, b+"|"+ids[4], b+"|"+ids[5])
	if got := query(t, f.path, "SELECT subscription, publication FROM deliveries ORDER BY 1, 2"); !slices.Equal(got, want) {
		t.Errorf("deliveries:\n%q\nwant\n%q", got, want)
	}
	wantOne(t, f.path, "0", "SELECT count(*) FROM deliveries WHERE subscription = ?", none)
	for _, test := range []struct {
		kind   *store.Kind
		filter store.Filter
		want   []string
	}{
		{store.Publications, store.Filter{Subscription: a}, []string{ids[4], ids[3], ids[1], ids[0]}},
		{store.Publications, store.Filter{Subscription: none}, nil},
		{store.Subscriptions, store.Filter{Publication: ids[4]}, []string{b, a}},
		{store.Subscriptions, store.Filter{Publication: ids[4], Namespace: "v1", Topic: "other"}, nil},
		{store.Subscriptions, store.Filter{Publication: ids[2]}, nil},
	} {
		page, err := f.History().Page(t.Context(), test.kind, test.filter, "", 10)
		var got []string
		for i := range page.Rows {
			got = append(got, page.Value(i, "id").(string))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s of %+v: %q, %v, want %q", test.kind.Name, test.filter, got, err, test.want)
		}
	}
	wantOne(t, f.path, "0", `SELECT count(*) FROM subscriptions s WHERE messages <> (SELECT count(*) FROM deliveries d WHERE d.subscription = s.id)`)
}

// TestCrashOnTopics checks that what a crash left open is recorded as interrupted, with NULL for how much was sent.
func TestCrashOnTopics(t *testing.T) {
	f := open(t)
	s, p := newID(), newID()
	f.SubscriptionOpened(subscription(s))
	f.PublicationAccepted(publication(p))
	f.sync(t)
	crashed := crashCopy(t, f.path)
	wantProblems(t, crashed, "2 publications and subscriptions have no end, and no server has the log open")
	g := start(t, crashed, store.Config{}, store.Limits{})
	wantOne(t, crashed, "interrupted|NULL", "SELECT outcome, delivered FROM publications")
	wantOne(t, crashed, "interrupted|NULL|NULL|NULL|NULL", "SELECT outcome, messages, bytes, first, last FROM subscriptions")
	mustClose(t, g)
	wantProblems(t, crashed)

	mustClose(t, f) // without an end for either
	wantOne(t, f.path, "interrupted|interrupted", "SELECT p.outcome, s.outcome FROM publications p, subscriptions s")
	wantProblems(t, f.path)
}

// A publication whose record fails is not recorded as published, and rows that are in the file already are not written twice.
func TestOutageOnTopics(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 300 * time.Millisecond})
	p, s := newID(), newID()
	f.SubscriptionOpened(subscription(s))
	wait(t, f.PublicationAccepted(publication(p)))
	release := holdLock(t, f.path)
	commit := f.PublicationEnded(published(p, 2))
	f.SubscriptionEnded(store.SubscriptionEnd{ID: s, At: noon, Outcome: "left", Messages: 1, First: p, Last: p})
	if err := commit.Wait(); err == nil {
		t.Error("the commit succeeded while another process held the lock")
	}
	release()
	eventually(t, "the log can be written again", func() bool { return f.Err() == nil })
	wantOne(t, f.path, "unrecorded|2", "SELECT outcome, delivered FROM publications")
	wantOne(t, f.path, "left|1", "SELECT outcome, messages FROM subscriptions")
}

func TestMissed(t *testing.T) {
	f := open(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, newID())
		p := publication(ids[i])
		f.PublicationAccepted(p)
		f.PublicationEnded(published(p.ID, 1))
		q := publication(newID())
		q.Topic = "other"
		f.PublicationAccepted(q)
	}
	withheld := publication(newID())
	f.PublicationAccepted(withheld)
	wait(t, f.PublicationEnded(store.PublicationEnd{ID: withheld.ID, At: noon, Outcome: "unrecorded"}))
	now := newID()
	for name, h := range histories(t, f) {
		for _, test := range []struct {
			after, before string
			want          store.Missed
			known         bool
		}{
			{ids[1], now, store.Missed{Count: 3, Newest: ids[4]}, true},
			{ids[4], now, store.Missed{}, true},
			{ids[0], ids[3], store.Missed{Count: 2, Newest: ids[2]}, true},
			{now, now, store.Missed{}, false},
			{"'; --", now, store.Missed{}, false},
		} {
			got, known, err := h.Missed(t.Context(), "v1", "news", test.after, test.before)
			if err != nil || got != test.want || known != test.known {
				t.Errorf("%s: after %s: %+v, %v, %v; want %+v, %v", name, test.after, got, known, err, test.want, test.known)
			}
		}
		if _, known, _ := h.Missed(t.Context(), "v1", "other", ids[1], now); known {
			t.Errorf("%s: a publication of another topic is known", name)
		}
	}
}

// A retention removes publications and subscriptions with their ends, whole.
func TestRetentionOnTopics(t *testing.T) {
	path := tempPath(t)
	old := time.Now().Add(-100 * 24 * time.Hour)
	f := start(t, path, store.Config{}, store.Limits{})
	for i := range 10 {
		onTopic(f, old, func() {
			if i%2 == 0 {
				f.Sync()
			}
		})
	}
	open := subscription(idAt(old))
	open.At = old
	f.SubscriptionOpened(open)
	onTopic(f, time.Now(), nil)
	f.Sync()
	f.SubscriptionEnded(store.SubscriptionEnd{ID: open.ID, At: time.Now(), Outcome: "left"})
	mustClose(t, f)
	f = start(t, path, store.Config{Retention: 90 * 24 * time.Hour}, store.Limits{})
	eventually(t, "old rows are removed", func() bool { return strings.Contains(f.logged.String(), "removed old rows") })
	wantOne(t, path, "1|2|0|1", "SELECT (SELECT count(*) FROM publication), (SELECT count(*) FROM subscription), (SELECT count(*) FROM publication_end), (SELECT count(*) FROM subscription_end)")
	wantProblems(t, path)
}
