package server

import (
	"log/slog"
	"slices"

	"httpipe/access"
	"httpipe/cli"
	"httpipe/httpapi"
	"httpipe/metrics"
	"httpipe/pipe"
	"httpipe/process"
	"httpipe/store"
)

// openParts opens what the server needs besides the port, and returns the server's configuration with it. key is the audit
// key, or "" if there is a secret. The caller must call closeLog when the server has stopped.
func openParts(version string, c *cli.Config, logger *slog.Logger) (config httpapi.Config, key string, closeLog func() error, err error) {
	config = serverConfig(c, logger)
	if config.Limits.Waiting, err = process.WaitingLimit(c.MaxWaiting); err != nil {
		return config, "", nil, err
	}
	if config.Nodes, err = openMember(c, logger); err != nil {
		return config, "", nil, err
	}
	if config.Log, config.History, closeLog, err = openLog(version, c, logger); err != nil {
		return config, "", nil, err
	}
	if config.Guard, key, err = newGuard(c); err != nil {
		closeLog() // nothing has been recorded yet
		return config, "", nil, err
	}
	return config, key, closeLog, nil
}

// openLog opens the audit log: as log if the server writes it, or as history if it only shows it. Both are nil with
// --audit=off.
func openLog(version string, c *cli.Config, logger *slog.Logger) (log *store.Log, history *store.History, closeLog func() error, err error) {
	switch c.Audit {
	case cli.AuditOff:
		return nil, nil, func() error { return nil }, nil
	case cli.AuditReadOnly:
		if history, err = store.OpenHistory(c.AuditDB); err != nil {
			return nil, nil, nil, err
		}
		return nil, history, history.Close, nil
	}
	process.TuneProcessors()
	log, err = store.Open(store.Config{
		Path:      c.AuditDB,
		Version:   version,
		Node:      c.Node,
		Retention: c.AuditRetention,
		Logger:    logger,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return log, nil, log.Close, nil
}

// serverConfig returns the options in the server's terms, without what openParts opens.
func serverConfig(c *cli.Config, logger *slog.Logger) httpapi.Config {
	var counts *metrics.Metrics
	if c.MetricsAddr != "" {
		counts = metrics.New()
	}
	return httpapi.Config{
		Metrics:        counts,
		Strict:         c.Audit == cli.AuditStrict,
		BestEffort:     c.Audit == cli.AuditBestEffort,
		RequestTimeout: c.RequestTimeout,
		ReadAhead:      int(c.ReadAhead),
		MaxBody:        c.MaxBody,
		StallTimeout:   c.StallTimeout,
		SilenceTimeout: c.SilenceTimeout,
		ReplyTimeout:   c.ReplyTimeout,

		MaxMessage:       c.MaxMessage,
		MaxMessageMemory: c.MaxMessageMemory,
		MessageTimeout:   c.MessageTimeout,

		Limits:         pipe.Limits{PerChannel: c.MaxWaitingPerChannel, PerClient: c.MaxWaitingPerClient},
		RatePerClient:  c.RatePerClient,
		ClientIPHeader: c.ClientIPHeader,
		MaxHeader:      int(c.MaxHeader),
		HeaderTimeout:  c.HeaderTimeout,
		RequireHTTPS:   c.RequireHTTPS,
		CORSOrigins:    c.CORSOrigins,
		Logger:         logger,
	}
}

// ownFiles returns the files that the server keeps, as process.Drop wants them, whether they exist or not: those of the audit
// log, and the certificates beside it.
func ownFiles(c *cli.Config) []string {
	if c.Audit == cli.AuditOff {
		return certificateFiles(c)
	}
	files := []string{c.AuditDB, c.AuditDB + "-wal", c.AuditDB + "-shm", c.AuditDB + "-journal"}
	return slices.Concat(files, access.KeyFiles(cli.KeyPath(c.AuditDB)), certificateFiles(c))
}
