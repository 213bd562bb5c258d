package migrations_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"httpipe/migrations"
)

// A gap or a wrong number would shift the versions of existing logs.
func TestStepsAreNumbered(t *testing.T) {
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

// A step that commits by itself would leave half a version behind if its rest fails.
func TestStepsContainNoTransaction(t *testing.T) {
	transaction := regexp.MustCompile(`(?im)^\s*(BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED|TRANSACTION)\b|;)|COMMIT|ROLLBACK|PRAGMA)`)
	for _, step := range migrations.Steps() {
		if found := transaction.FindString(step.SQL); found != "" {
			t.Errorf("%s contains %q; package store manages the transaction and the pragmas", step.Name, strings.TrimSpace(found))
		}
	}
}

// viewsSince has a digest of views.sql for the newest version, by the version.
var viewsSince = map[int]string{
	4: "a2c3f52e88d83e1a76d1e97b1a2b3214e798ae2a3ab642bc43dbd7d35226ecd1",
	6: "8bd73f772a786d3a824c269dd5893ab40f97293a05932bb69c1b0b52f005ac73",
	7: "e3cb82e30863cc69a2d98b6da9a4a936b274de37d0e8836d894786ee4cdc0d41",
	8: "35daa91fb29364cfe36b29616c034bc8078cb84d08e5ad539cd0f77df3d409d2",
}

// A log gets new views only together with a new version, so a change of views.sql without a step would miss existing logs.
func TestViewsChangeWithTheVersion(t *testing.T) {
	version := len(migrations.Steps())
	views, err := os.ReadFile("views.sql")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(statements(views))); got != viewsSince[version] {
		t.Errorf("the statements of views.sql have the digest %s, and version %d was released with %q: if it was released, add a step "+
			"(it may contain only a comment); then put the digest here for the new version",
			got, version, viewsSince[version])
	}
}

// statements returns an SQL file without its comments and empty lines.
func statements(sql []byte) []byte {
	return regexp.MustCompile(`(?m)^(--.*)?\n`).ReplaceAll(sql, nil)
}

// Only the steps that were released before there was views.sql contain views too.
func TestViewsAreDefinedInOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var with []string
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(sql), "CREATE VIEW") {
			with = append(with, file)
		}
	}
	want := []string{"0001_audit.sql", "0002_request_ids.sql", "0003_subjects.sql", "0004_indexes.sql", "views.sql"}
	if !slices.Equal(with, want) {
		t.Errorf("views are created in %q, want %q", with, want)
	}
}
