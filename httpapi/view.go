package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/store"
)

// A view is the content of an event: a snapshot in the terms of the audit log, with the rates since the last one.
type view struct {
	At        string        `json:"at"`
	Node      string        `json:"node,omitempty"` // the one whose clients these are
	Producers int           `json:"producers"`      // waiting ones, shown or not
	Consumers int           `json:"consumers"`
	Exchanges int           `json:"exchanges"`
	Waiting   []waitingRow  `json:"waiting"` // oldest first
	Running   []exchangeRow `json:"running"` // oldest first

	WaitingOmitted int `json:"waiting_omitted"` // waiting requests beyond liveRows
	RunningOmitted int `json:"running_omitted"` // running exchanges beyond liveRows

	Subscriptions int        `json:"subscriptions"` // to all topics
	Publications  int        `json:"publications"`  // being sent, or next on their topic
	Topics        []topicRow `json:"topics"`        // by name
	TopicsOmitted int        `json:"topics_omitted"`

	at time.Time
}

// A waitingRow is a waiting request.
type waitingRow struct {
	Namespace string `json:"namespace"`
	Channel   string `json:"channel"`
	Role      string `json:"role"`
	ArrivedAt string `json:"arrived_at"`
	Addr      string `json:"addr"`
	Agent     string `json:"agent"`
	Subject   string `json:"subject,omitempty"`
	Shape     string `json:"shape,omitempty"` // unless it is a channel's
}

// An exchangeRow is a running exchange.
type exchangeRow struct {
	ID             string `json:"id"`
	Shape          string `json:"shape,omitempty"` // unless it is a channel's
	Namespace      string `json:"namespace"`
	Channel        string `json:"channel"`
	MatchedAt      string `json:"matched_at"`
	Bytes          int64  `json:"bytes"`                    // written to the consumer
	BytesPerSecond int64  `json:"bytes_per_second"`         // since the last view
	Length         known  `json:"length,omitzero"`          // in bytes
	LengthAtMost   int64  `json:"length_at_most,omitempty"` // if Length is unknown
	Progress       known  `json:"progress,omitzero"`        // at least; of the length, or of its bound
	RemainingMs    known  `json:"remaining_ms,omitzero"`
	ProducerAddr   string `json:"producer_addr"`
	ConsumerAddr   string `json:"consumer_addr"`
	ProducerAgent  string `json:"producer_agent"`
	ConsumerAgent  string `json:"consumer_agent"`

	ProducerSubject string `json:"producer_subject,omitempty"`
	ConsumerSubject string `json:"consumer_subject,omitempty"`
}

// A topicRow is a topic.
type topicRow struct {
	Namespace   string `json:"namespace"`
	Topic       string `json:"topic"`
	Subscribers int    `json:"subscribers"`
	Sending     int    `json:"sending"`                 // publications that are being sent, or next
	Since       string `json:"sending_since,omitempty"` // when the first of these was accepted
	Waiting     int    `json:"waiting"`                 // publishers that wait for subscribers
}

// topicRows returns the rows of topics, ordered by name.
func topicRows(topics []pipe.TopicState) []topicRow {
	rows := make([]topicRow, 0, len(topics))
	for _, t := range topics {
		row := topicRow{Namespace: t.Key.Namespace, Topic: t.Key.Channel, Subscribers: t.Subscribed, Sending: t.Sending, Waiting: t.Waiting}
		if t.Sending > 0 {
			row.Since = pipe.Timestamp(t.SendingFrom)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b topicRow) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Topic, b.Topic))
	})
	return rows
}

// known is a number that may be unknown. It is negative then, and left out.
type known float64

// IsZero reports whether k is left out.
func (k known) IsZero() bool { return k < 0 }

const unknown known = -1

// newView returns the view of a snapshot. Its rates are since last, which is nil for the first view.
func newView(s pipe.Snapshot, last *view) *view {
	v := &view{
		At:        pipe.Timestamp(s.At),
		Producers: s.Load.Producers,
		Consumers: s.Load.Consumers,
		Exchanges: s.Load.Exchanges,
		Waiting:   make([]waitingRow, 0, len(s.Waiting)),
		Running:   make([]exchangeRow, 0, len(s.Running)),
		at:        s.At,

		WaitingOmitted: s.Load.Producers + s.Load.Consumers - len(s.Waiting),
		RunningOmitted: s.Load.Exchanges - len(s.Running),

		Subscriptions: s.Load.Subscriptions,
		Publications:  s.Load.Publications,
		TopicsOmitted: s.Load.Topics - len(s.Topics),
	}
	v.Topics = topicRows(s.Topics)
	for _, r := range s.Waiting {
		v.Waiting = append(v.Waiting, waitingRow{
			Shape:     shapeOf(r.Shape),
			Namespace: r.Key.Namespace,
			Channel:   r.Key.Channel,
			Role:      r.Role.String(),
			ArrivedAt: pipe.Timestamp(r.ArrivedAt),
			Addr:      r.Client.Addr,
			Agent:     store.CleanText(r.Client.Agent),
			Subject:   r.Client.Subject(),
		})
	}
	before := last.bytes()
	for _, x := range s.Running {
		row := newExchangeRow(x)
		since, seen := x.MatchedAt, int64(0)
		if n, ok := before[x.ID]; ok {
			since, seen = last.at, n
		}
		row.rate(row.Bytes-seen, s.At.Sub(since))
		v.Running = append(v.Running, row)
	}
	return v
}

// bytes returns how many bytes each exchange had written at the time of v, which may be nil.
func (v *view) bytes() map[string]int64 {
	if v == nil {
		return nil
	}
	bytes := make(map[string]int64, len(v.Running))
	for _, row := range v.Running {
		bytes[row.ID] = row.Bytes
	}
	return bytes
}

func newExchangeRow(x *pipe.Exchange) exchangeRow {
	return exchangeRow{
		ID:            x.ID,
		Shape:         shapeOf(x.Producer.Shape),
		Namespace:     x.Key.Namespace,
		Channel:       x.Key.Channel,
		MatchedAt:     pipe.Timestamp(x.MatchedAt),
		Bytes:         x.Written(),
		Length:        known(x.Producer.Length),
		LengthAtMost:  x.Producer.Head.Rare().LengthAtMost,
		ProducerAddr:  x.Producer.Client.Addr,
		ConsumerAddr:  x.Consumer.Client.Addr,
		ProducerAgent: store.CleanText(x.Producer.Client.Agent),
		ConsumerAgent: store.CleanText(x.Consumer.Client.Agent),

		ProducerSubject: x.Producer.Client.Subject(),
		ConsumerSubject: x.Consumer.Client.Subject(),
	}
}

// shapeOf returns the word for a shape, or "" for a channel.
func shapeOf(s pipe.Shape) string {
	if s == pipe.Channel {
		return ""
	}
	return s.String()
}

// rate sets the speed of an exchange that has written that many bytes in that time, and what follows from it if the length,
// or a bound for it, is known. It does not extrapolate from less than a second.
func (row *exchangeRow) rate(bytes int64, in time.Duration) {
	perSecond := float64(bytes) / max(in, snapshotEvery).Seconds()
	row.BytesPerSecond = int64(perSecond)
	row.Progress, row.RemainingMs = unknown, unknown
	done, length := known(row.Bytes), max(row.Length, known(row.LengthAtMost))
	if length <= 0 {
		return
	}
	row.Progress = known(math.Round(float64(done/length)*1e4) / 1e4)
	if row.BytesPerSecond > 0 {
		row.RemainingMs = known(math.Round(float64(length-done) / perSecond * 1e3))
	}
}

// same reports whether v shows the same as last.
func (v *view) same(last *view) bool {
	return v.Producers == last.Producers && v.Consumers == last.Consumers && v.Exchanges == last.Exchanges &&
		v.Subscriptions == last.Subscriptions && v.Publications == last.Publications && slices.Equal(v.Topics, last.Topics) &&
		slices.Equal(v.Waiting, last.Waiting) && slices.Equal(v.Running, last.Running)
}

// event returns v as a server-sent event.
func (v *view) event() []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and finite numbers always marshal
	}
	return fmt.Appendf(nil, "data: %s\n\n", data)
}
