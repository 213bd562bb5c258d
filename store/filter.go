package store

import (
	"time"
)

// StillOpen is the outcome that the view exchanges has for what runs.
const StillOpen = "open"

// A Filter says what is asked for. Of its zero value that is everything.
type Filter struct {
	Namespace, Channel, Outcome, Role string    // "" is any
	From, To                          time.Time // From is included, To is not; zero is no bound
}

// value returns what the filter wants a column to be.
func (f *Filter) value(column string) string {
	switch column {
	case "namespace":
		return f.Namespace
	case "channel":
		return f.Channel
	case "outcome":
		return f.Outcome
	case "role":
		return f.Role
	}
	return ""
}
