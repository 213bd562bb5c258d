package store

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// anID is what a cursor among exchanges is.
var idPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// idBeginning is what the id of an exchange can begin with.
var idPrefixPattern = regexp.MustCompile(`^[0-9a-f-]+$`)

// slack is how far a clock may have been set back without anything being overlooked that is searched by time.
const clockSlack = 24 * time.Hour

// idFloor returns what is not greater than the id of any exchange that was matched at or after that time.
func idFloor(ms int64) string {
	ms = max(ms, 0)
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// idTime returns the time in an id, in milliseconds, or 0 if it is none of ours.
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

// compareIDs compares two ids of a kind.
func compareIDs(a, b any) int {
	if a, ok := a.(string); ok {
		return cmp.Compare(a, b.(string))
	}
	return cmp.Compare(a.(int64), b.(int64))
}

// inRun makes a number that is unique within a run unique within the file.
func inRun(run, number int64) int64 {
	return run<<32 | number
}
