package store_test

import (
	"httpipe/store"
	"strings"
	"testing"
)

// TestPlans checks that each statement uses an index and gets its order from it. Otherwise it would read and
// sort all rows of a busy namespace.
func TestPlans(t *testing.T) {
	f := open(t)
	record(t, f)
	for name, h := range histories(t, f) {
		for _, k := range store.Kinds {
			for _, filter := range filters(k) {
				plans, err := h.Plans(t.Context(), k, filter)
				if err != nil {
					t.Fatal(err)
				}
				for _, plan := range plans {
					few := strings.Contains(plan, "LIST SUBQUERY") || strings.Contains(plan, "json_each") || strings.Contains(plan, "block=?")
					if strings.Contains(plan, "TEMP B-TREE") && !few {
						t.Errorf("%s, %s %+v: %s", name, k.Name, filter, plan)
					}
					index, rest, _ := strings.Cut(plan, "\n")
					if index, ok := strings.CutPrefix(index, "expects "); ok && !strings.Contains(rest, "INDEX "+index) {
						t.Errorf("%s, %s %+v does not use %s): %s", name, k.Name, filter, index, rest)
					}
				}
			}
		}
	}
}

// TestPlainQueries checks that common queries on the views use an index too.
func TestPlainQueries(t *testing.T) {
	f := open(t)
	for statement, want := range map[string]string{
		"SELECT * FROM exchanges_by_channel WHERE namespace = 'v1' AND channel = 'a'": "SEARCH x USING PRIMARY KEY (block=? AND namespace=? AND channel=?)",
		"SELECT * FROM exchanges ORDER BY id DESC LIMIT 100":                          "SCAN e",
		"SELECT * FROM requests WHERE outcome = 'left' ORDER BY id DESC LIMIT 100":    "request_outcome (outcome=?)",
	} {
		plan := strings.Join(query(t, f.path, "EXPLAIN QUERY PLAN "+statement), "\n")
		if !strings.Contains(plan, want) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s:\n%s\nwant %s", statement, plan, want)
		}
	}
}
