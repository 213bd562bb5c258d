// Package migrations holds the schema of the audit log as a sequence of SQL files. Each file, NNNN_what.sql, is a
// step from one version to the next; they are numbered from 0001 without gaps. The version of a database is the
// number of its steps.
//
// A released step is never edited: a change is a new file. The views are the exception, since they hold no data:
// they are defined in views.sql alone, and created again after the last step.
//
// Package store runs each step in a transaction of its own, so no file contains BEGIN or COMMIT.
package migrations

import (
	"embed"
	"fmt"
)

var (
	//go:embed [0-9]*.sql
	files embed.FS
	//go:embed views.sql
	views string
)

// A Step leads from one version of the schema to the next.
type Step struct {
	Name string // of the file
	SQL  string // any number of statements, for one transaction
}

// Steps returns all steps in order: a database has version n after the first n of them. The last one ends with the
// statements that create the views.
func Steps() []Step {
	entries, err := files.ReadDir(".") // sorted by name
	if err != nil {
		panic(fmt.Sprintf("migrations: cannot list the embedded files: %v", err))
	}
	steps := make([]Step, 0, len(entries))
	for _, entry := range entries {
		sql, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(fmt.Sprintf("migrations: cannot read the embedded %s: %v", entry.Name(), err))
		}
		steps = append(steps, Step{Name: entry.Name(), SQL: string(sql)})
	}
	steps[len(steps)-1].SQL += "\n" + views
	return steps
}
