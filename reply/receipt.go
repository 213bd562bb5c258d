package reply

import (
	"net/http"

	"httpipe/pipe"
)

// A Receipt says in JSON how an exchange ended, or that it is running. A producer that asks for JSON gets it; either
// side can ask for it later.
type Receipt struct {
	Exchange  string  `json:"exchange"`
	Namespace string  `json:"namespace"`
	Channel   string  `json:"channel"`
	Outcome   string  `json:"outcome"`
	Bytes     *int64  `json:"bytes"` // nil while the exchange runs, or if the number is not known
	MatchedAt string  `json:"matched_at"`
	EndedAt   *string `json:"ended_at"` // nil while the exchange runs
}

// Delivered returns the 200 for a producer.
func Delivered(x *pipe.Exchange, wantsJSON bool) Response {
	if !wantsJSON {
		return Response{Status: http.StatusOK}
	}
	return JSON(http.StatusOK, Receipt{
		Exchange:  x.ID,
		Namespace: x.Key.Namespace,
		Channel:   x.Key.Channel,
		Outcome:   string(pipe.Delivered),
		Bytes:     &x.Bytes,
		MatchedAt: pipe.Timestamp(x.MatchedAt),
		EndedAt:   new(pipe.Timestamp(x.EndedAt)),
	})
}
