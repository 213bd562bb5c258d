// Package migrations holds the audit log's schema as a sequence of SQL files, each the step from one version to the next:
// NNNN_what.sql, numbered from 0001 without a gap. The number of steps that a database has had is its version.
//
// A step that has been released is never edited; a change is a new file. Package store runs each step in a transaction
// of its own, so no file contains BEGIN or COMMIT.
package migrations

import (
	"embed"
	"fmt"
)

//go:embed *.sql
var files embed.FS

// A Step leads from one version of the schema to the next.
type Step struct {
	Name string // the file's name
	SQL  string // any number of statements, for one transaction
}

// Steps returns all steps in order: after the first n of them a database has version n.
func Steps() []Step {
	entries, err := files.ReadDir(".") // sorted by name
	if err != nil {
		panic(fmt.Sprintf("migrations: the embedded files cannot be listed: %v", err))
	}
	steps := make([]Step, 0, len(entries))
	for _, entry := range entries {
		sql, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(fmt.Sprintf("migrations: the embedded %s cannot be read: %v", entry.Name(), err))
		}
		steps = append(steps, Step{Name: entry.Name(), SQL: string(sql)})
	}
	return steps
}
