package reply

import (
	"fmt"
	"net/http"
	"strconv"

	"httpipe/pipe"
)

// A PublicationReceipt is the body of the 200 for a publisher that asks for JSON.
type PublicationReceipt struct {
	Publication string `json:"publication"`
	Namespace   string `json:"namespace"`
	Topic       string `json:"topic"`
	Outcome     string `json:"outcome"`
	Bytes       int64  `json:"bytes"`
	Subscribers int    `json:"subscribers"`
	Delivered   int    `json:"delivered"`
	PublishedAt string `json:"published_at"`
	EndedAt     string `json:"ended_at"`
}

// Published returns the 200 for a publisher.
func Published(p *pipe.Publication, wantsJSON bool) Response {
	r := Response{Status: http.StatusOK}
	if wantsJSON {
		r = JSON(http.StatusOK, PublicationReceipt{
			Publication: p.ID,
			Namespace:   p.Key.Namespace,
			Topic:       p.Key.Channel,
			Outcome:     string(pipe.Published),
			Bytes:       int64(len(p.Body)),
			Subscribers: p.Subscribers,
			Delivered:   p.Delivered,
			PublishedAt: pipe.Timestamp(p.PublishedAt),
			EndedAt:     pipe.Timestamp(p.EndedAt),
		})
	}
	r.add(HeaderExchange, p.ID)
	r.add(HeaderSubscribers, strconv.Itoa(p.Subscribers))
	r.add(HeaderDelivered, strconv.Itoa(p.Delivered))
	return r
}

// ForPublication is ForOutcome for a publisher.
func ForPublication(p *pipe.Publication, o pipe.Outcome) *Error {
	return onTopic(ForOutcome(o, pipe.Producer), o, p.Reason())
}

// ForSubscription is ForOutcome for a subscription that has ended.
func ForSubscription(s *pipe.Subscription) *Error {
	return onTopic(ForOutcome(s.Outcome, pipe.Consumer), s.Outcome, s.Reason())
}

// onTopic gives an error the text that fits topics.
func onTopic(e *Error, o pipe.Outcome, why pipe.Reason) *Error {
	switch o {
	case pipe.Deleted:
		e.Text = "the topic was deleted"
	case pipe.TimedOut:
		e.Text = "the wait was over before anything was published, or before enough clients were subscribed"
	case pipe.Silent:
		e.Text = "the message did not come: nothing was sent for too long (--silence-timeout)"
	case pipe.TooLarge:
		e.Text = "the message is larger than this server accepts (--max-message)"
	case pipe.Unrecorded:
		e.Text = "the audit log cannot be written, so this publication is not on record"
	}
	if why != pipe.NoReason {
		e.setReason(why)
	}
	return e
}

// RetryStream returns the response to an EventSource in place of an error that is over soon: an EventSource gives up
// for good on any status but 200. ok is false if e is not such an error.
func RetryStream(e *Error) (r Response, ok bool) {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusMisdirectedRequest:
	default:
		return r, false
	}
	r = Text(http.StatusOK, "text/event-stream", fmt.Sprintf("retry: %d\n\n", 1000*max(e.RetryAfter, 1)))
	r.add(HeaderError, e.Code)
	return r, true
}
