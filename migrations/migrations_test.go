package migrations_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"httpipe/migrations"
)

func TestStepsAreNumberedWithoutGap(t *testing.T) {
	steps := migrations.Steps()
	if len(steps) == 0 {
		t.Fatal("no steps are embedded")
	}
	for i, step := range steps {
		if prefix := fmt.Sprintf("%04d_", i+1); !strings.HasPrefix(step.Name, prefix) {
			t.Errorf("step %d is %s, want a name that begins with %s", i+1, step.Name, prefix)
		}
	}
}

// A step that commits by itself would leave half a version behind when the rest of it fails.
func TestStepsLeaveTheTransactionAlone(t *testing.T) {
	transaction := regexp.MustCompile(`(?im)^\s*(BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED|TRANSACTION)\b|;)|COMMIT|ROLLBACK|PRAGMA)`)
	for _, step := range migrations.Steps() {
		if found := transaction.FindString(step.SQL); found != "" {
			t.Errorf("%s contains %q; package store owns the transaction and the pragmas", step.Name, strings.TrimSpace(found))
		}
	}
}
