package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

// topics counts the subscribers of the topics that exist now, and deletes topics.
type topics struct{ broker *pipe.Broker }

// look answers with the number of subscriptions to a topic.
func (t *topics) look(w http.ResponseWriter, r *request) {
	subscribed, exists := t.broker.LookTopic(r.Key)
	if !exists {
		r.Fail(w, noTopic(r.Key))
		return
	}
	w.Header().Set(reply.HeaderConsumers, strconv.Itoa(subscribed))
}

// delete ends all subscriptions to a topic.
func (t *topics) delete(w http.ResponseWriter, r *request) {
	if !t.broker.DeleteTopic(r.Key) {
		r.Fail(w, noTopic(r.Key))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func noTopic(key pipe.Key) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "the topic " + key.String() + " has no subscribers now"}
}

// missedIn returns relay.Config.Missed for a log. Publications that could not be recorded would be missing in the
// number, so after such a loss it is not known.
func missedIn(log *store.Log) func(ctx context.Context, topic pipe.Key, after, before string) (int64, string, bool) {
	if log == nil {
		return nil
	}
	return func(ctx context.Context, topic pipe.Key, after, before string) (int64, string, bool) {
		if log.Sync() != nil || log.Lost() > 0 {
			return 0, "", false
		}
		missed, known, err := log.History().Missed(ctx, topic.Namespace, topic.Channel, after, before)
		return missed.Count, missed.Newest, known && err == nil
	}
}
