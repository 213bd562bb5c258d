package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/dustin/go-humanize"

	"httpipe/store"
)

// auditOptions are what every command about the audit log takes.
func auditOptions(c *Config) []option { return pick(c, "audit-db", "config") }

func auditBackup(c *Config) command {
	return command{
		name: "audit backup", args: "FILE", options: auditOptions(c),
		help: "copy the audit log to a new file; a server may run",
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // half a copy is removed
			defer stop()
			report, err := store.Backup(ctx, c.AuditDB, args[0])
			if err != nil {
				return err
			}
			printReport(stdout, report)
			return nil
		},
	}
}

func auditCheck(c *Config) command {
	return command{
		name: "audit check", options: auditOptions(c),
		help: "examine the audit log; exit with 0 if it is sound",
		run: func(ctx context.Context, _ []string, stdout, _ io.Writer) error {
			report, err := store.Check(ctx, c.AuditDB)
			if err != nil {
				return err
			}
			printReport(stdout, report)
			for _, problem := range report.Problems {
				fmt.Fprintln(stdout, problem)
			}
			if n := len(report.Problems); n > 0 {
				return fmt.Errorf("audit log %s: not sound (problems: %d)", report.Path, n)
			}
			fmt.Fprintln(stdout, "sound")
			return nil
		},
	}
}

// printReport says what a log is and what it holds. A damaged one holds what nobody can count.
func printReport(w io.Writer, r store.Report) {
	inUse := ""
	if r.InUse {
		inUse = ", in use by a server"
	}
	fmt.Fprintf(w, "%s: schema %d, %s%s\n", r.Path, r.Schema, humanize.IBytes(uint64(r.Bytes)), inUse)
	if r.Runs > 0 {
		fmt.Fprintf(w, "exchanges %d (open %d), requests %d, channels %d, runs %d (unclean %d), rows lost %d\n",
			r.Exchanges, r.Open, r.Requests, r.Channels, r.Runs, r.Unclean, r.Lost)
	}
}
