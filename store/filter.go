package store

import (
	"time"
)

// StillOpen is the outcome of a running exchange in the view exchanges.
const StillOpen = "open"

// A Filter selects rows. The zero Filter selects all.
type Filter struct {
	Namespace, Channel, Outcome, Role string // "": any
	Topic, Service, Shape             string
	Publication, Subscription         string    // the id of the other side of a delivery
	From, To                          time.Time // From is included, To is not; zero: no bound
}

// value returns the value that the filter requires in a column, or "".
func (f *Filter) value(column string) string {
	switch column {
	case "namespace":
		return f.Namespace
	case "channel":
		return f.Channel
	case "outcome":
		return f.Outcome
	case "topic":
		return f.Topic
	case "service":
		return f.Service
	case "shape":
		return f.Shape
	case "role":
		return f.Role
	case "publication":
		return f.Publication
	case "subscription":
		return f.Subscription
	}
	return ""
}
