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

// auditOptions returns the options that every command about the audit log takes.
func auditOptions(c *Config) []option {
	picked := pick(c, "audit-db", "config")
	picked[0].help = "SQLite file of the audit log, which must exist"
	return picked
}

func auditBackup(c *Config) command {
	return command{
		name: "audit backup", args: "FILE", options: auditOptions(c),
		help: "copy the audit log to a new file, even while a server runs",
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // an incomplete copy is removed
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
		help: "check the audit log; exit with 0 if it is sound",
		run: func(ctx context.Context, _ []string, stdout, _ io.Writer) error {
			report, err := store.Check(ctx, c.AuditDB)
			if err != nil {
				return err
			}
			printReport(stdout, report)
			for _, problem := range report.Problems {
				fmt.Fprintln(stdout, escape(problem))
			}
			if n := len(report.Problems); n > 0 {
				return fmt.Errorf("audit log %s: not sound (problems: %d)", report.Path, n)
			}
			fmt.Fprintln(stdout, "sound")
			return nil
		},
	}
}

// printReport prints which log a report is about, and its counts, if the log is sound enough to have them.
func printReport(w io.Writer, r store.Report) {
	inUse := ""
	if r.InUse {
		inUse = ", in use by a server"
	}
	fmt.Fprintf(w, "%s: schema %d, %s%s\n", r.Path, r.Schema, humanize.IBytes(uint64(r.Bytes)), inUse)
	if r.Runs > 0 {
		fmt.Fprintf(w, "exchanges %d (open %d), requests %d, channels %d, publications %d, subscriptions %d, runs %d (unclean %d), rows lost %d\n",
			r.Exchanges, r.Open, r.Requests, r.Channels, r.Publications, r.Subscriptions, r.Runs, r.Unclean, r.Lost)
	}
}
