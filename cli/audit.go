package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/dustin/go-humanize"

	"httpipe/store"
)

// auditOptions returns the options that every command about the audit log takes.
func auditOptions(c *Config) []option {
	return reword(pick(c, "audit-db", "config"), "audit-db", "SQLite file of the audit log, which must exist")
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
			return printReport(stdout, "backup "+args[0], report)
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
			text := reportText(report)
			for _, problem := range report.Problems {
				text += escape(problem) + "\n"
			}
			n := len(report.Problems)
			if n == 0 {
				text += "sound\n"
			}
			if _, err := io.WriteString(stdout, text); err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("audit log %s: not sound (problems: %d)", report.Path, n)
			}
			return nil
		},
	}
}

func auditMerge() command {
	return command{
		name: "audit merge", args: "TARGET LOG...",
		help: "merge the logs of several nodes into one for reading",
		more: "A LOG is a file, or NAME=FILE to name its node. Without NAME the node is the --node of its server,\n" +
			"or else the name of the file. If two LOGs are copies of one, TARGET has each row once. A TARGET\n" +
			"that was merged from some of the logs is replaced.",
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // an incomplete log is removed
			defer stop()
			var sources []store.Source
			for _, arg := range args[1:] {
				sources = append(sources, parseSource(arg))
			}
			merged, err := store.Merge(ctx, args[0], sources)
			if err != nil {
				return err
			}
			if err := printReport(stdout, "merged log "+args[0], merged.Report); err != nil {
				return err
			}
			t := table{w: stdout}
			for _, s := range merged.Sources {
				t.add(s.Node, s.Path)
			}
			return t.flush()
		},
	}
}

// sourceSyntax matches NAME=FILE. The name of a node contains no slash, so ./a=b is a file.
var sourceSyntax = regexp.MustCompile(`^([A-Za-z0-9._-]+)=(.+)$`)

// parseSource parses a LOG argument of audit merge.
func parseSource(arg string) store.Source {
	if parts := sourceSyntax.FindStringSubmatch(arg); parts != nil {
		return store.Source{Node: parts[1], Path: parts[2]}
	}
	return store.Source{Path: arg}
}

// printReport prints the report about a file that a command has made. If that fails, the file stays.
func printReport(stdout io.Writer, made string, r store.Report) error {
	if _, err := io.WriteString(stdout, reportText(r)); err != nil {
		return fmt.Errorf("%s is complete and checked, but its report cannot be printed: %w", made, err)
	}
	return nil
}

// reportText returns which log a report is about, and its counts, if the log is sound enough to have them.
func reportText(r store.Report) string {
	inUse := ""
	if r.InUse {
		inUse = ", in use by a server"
	}
	text := fmt.Sprintf("%s: schema %d, %s%s\n", r.Path, r.Schema, humanize.IBytes(uint64(r.Bytes)), inUse)
	if r.Runs > 0 {
		text += fmt.Sprintf("exchanges %d (open %d), requests %d, channels %d, publications %d, subscriptions %d, runs %d (unclean %d), rows lost %s\n",
			r.Exchanges, r.Open, r.Requests, r.Channels, r.Publications, r.Subscriptions, r.Runs, r.Unclean, lostText(r))
	}
	return text
}

// lostText returns how many rows were lost, as far as the log records it: an unclean run could not record its number.
func lostText(r store.Report) string {
	if r.Unclean > 0 {
		return fmt.Sprintf("%d (unknown for unclean runs)", r.Lost)
	}
	return fmt.Sprint(r.Lost)
}
