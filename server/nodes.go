package server

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"httpipe/cli"
	"httpipe/nodes"
)

// openMember returns this server as one of several nodes, or nil if it is the only one.
func openMember(c *cli.Config, logger *slog.Logger) (*nodes.Member, error) {
	if c.Nodes == "" {
		return nil, nil
	}
	table, err := nodes.ReadFile(c.Nodes)
	if err != nil {
		return nil, err
	}
	return nodes.NewMember(c.Node, table, logger)
}

// rereadTable reads the table again at each SIGHUP, until stop. A table that cannot be used is logged, and changes nothing.
func rereadTable(c *cli.Config, member *nodes.Member, logger *slog.Logger) (stop func()) {
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	go func() {
		for range hangUps {
			table, err := nodes.ReadFile(c.Nodes)
			if err == nil {
				err = member.SetTable(table)
			}
			if err != nil {
				logger.Error("the table of nodes cannot be read again; the last one stays in force", "error", err)
				continue
			}
			logger.Info("the table of nodes was read again", "nodes", len(table.Nodes), "slots", len(table.Slots))
		}
	}()
	return func() {
		signal.Stop(hangUps)
		close(hangUps)
	}
}
