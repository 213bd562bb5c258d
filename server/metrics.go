package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"httpipe/cli"
	"httpipe/metrics"
)

// serveMetrics answers GET /metrics on a separate listener until stop. It returns the address of the listener, with the
// port that the system chose if the option said 0. Without metrics it does nothing, and returns no address.
func serveMetrics(ctx context.Context, c *cli.Config, m *metrics.Metrics, logger *slog.Logger) (addr string, stop func(), err error) {
	if m == nil {
		return "", func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.MetricsAddr)
	if err != nil {
		return "", nil, fmt.Errorf("cannot listen for scrapes (--metrics-addr): %w; choose another address", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	server := &http.Server{
		Handler:      mux,
		ReadTimeout:  10 * time.Second,
		WriteTimeout: time.Minute,
		IdleTimeout:  5 * time.Minute, // longer than the pause between two scrapes
		ErrorLog:     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics can no longer be scraped", "error", err)
		}
	}()
	return listener.Addr().String(), func() { server.Close(); <-stopped }, nil
}
