package store

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// idPattern matches the id of an exchange.
var idPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// idPrefixPattern matches a prefix of an id of an exchange.
var idPrefixPattern = regexp.MustCompile(`^[0-9a-f-]+$`)

// clockSlack is how far the clock may have been set back without a search by time missing rows.
const clockSlack = 24 * time.Hour

// idSlack is how far the time in the id of an exchange may differ from the match without a search by time missing rows.
const idSlack = time.Second

// idFloor returns a lower bound for the ids of all exchanges matched at or after that time, in Unix
// milliseconds.
func idFloor(ms int64) string {
	ms = max(ms, 0)
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// idTime returns the time in the id of an exchange, in Unix milliseconds, or 0 if there is none.
func idTime(id string) int64 {
	if len(id) < 13 {
		return 0
	}
	ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		return 0
	}
	return ms
}

// compareIDs compares two ids of the same kind of row.
func compareIDs(a, b any) int {
	if a, ok := a.(string); ok {
		return cmp.Compare(a, b.(string))
	}
	return cmp.Compare(a.(int64), b.(int64))
}

// inRun combines the id of a run with a number that is unique in the run into an id that is unique in the file.
func inRun(run, number int64) int64 {
	return run<<32 | number
}
