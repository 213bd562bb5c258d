package relay

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"httpipe/pipe"
)

// Config configures a Relay. Zero values of limits mean no limit.
type Config struct {
	RequestTimeout time.Duration // the longest that a request may wait
	ReadAhead      int           // bytes of a waiting producer's body that are held in memory; must be set
	MaxBody        int64         // bytes
	StallTimeout   time.Duration // of a consumer whose kernel acknowledges nothing
	HeaderTimeout  time.Duration // for the body of a GET
	MaxHeader      int           // bytes in the head of a form's part; must be set

	// Unavailable returns why nothing may be relayed now, or nil. It must not block.
	Unavailable func() error
	Logger      *slog.Logger
}

// A Relay serves the requests that produce and consume. Its methods may be called from any goroutine.
type Relay struct {
	config  Config
	broker  *pipe.Broker
	watcher *watcher

	takenOver sync.WaitGroup // handlers of requests that were taken over from net/http
	used      atomic.Bool    // an exchange has ended, and was logged at info
}

// New returns a relay for the channels of broker. Close releases it.
func New(config Config, broker *pipe.Broker) (*Relay, error) {
	watcher, err := newWatcher()
	if err != nil {
		return nil, err
	}
	return &Relay{config: config, broker: broker, watcher: watcher}, nil
}

// Listener returns a listener that accepts from ln and watches the connections.
func (l *Relay) Listener(ln net.Listener) net.Listener {
	return &listener{Listener: ln, watcher: l.watcher}
}

// Connections returns how many connections are open and watched.
func (l *Relay) Connections() int { return l.watcher.count() }

// CloseUnused closes the connections that carry no request. net/http would wait for those that have not sent one yet.
func (l *Relay) CloseUnused() {
	for l.watcher.closeUnused(0) {
	}
}

// Answered returns a channel that is closed when all producers that were taken over from net/http are answered. Call
// it after the last request has arrived: http.Server.Shutdown does not wait for these producers.
func (l *Relay) Answered() <-chan struct{} {
	answered := make(chan struct{})
	go func() {
		l.takenOver.Wait()
		close(answered)
	}()
	return answered
}

// Close stops watching connections.
func (l *Relay) Close() { l.watcher.close() }

// logEnd logs an exchange that has ended, in one line. The first one is logged at info, so that a person who tries
// the server sees that it works.
func (l *Relay) logEnd(x *pipe.Exchange, outcome pipe.Outcome, cause error) {
	level := slog.LevelDebug
	first := !l.used.Load() && l.used.CompareAndSwap(false, true)
	if first {
		level = slog.LevelInfo
	}
	if outcome == pipe.Unrecorded {
		level = slog.LevelError
	}
	if !l.config.Logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", x.ID),
		slog.String("channel", x.Key.String()),
		slog.String("outcome", string(outcome)),
		slog.Int64("bytes", x.Bytes),
		slog.Duration("duration", x.EndedAt.Sub(x.MatchedAt)),
	}
	if cause != nil {
		attrs = append(attrs, slog.String("cause", strings.ReplaceAll(cause.Error(), "\n", " ")))
	}
	if first {
		attrs = append(attrs, slog.String("note", "the first one; --log-level debug logs all"))
	}
	l.config.Logger.LogAttrs(context.Background(), level, "exchange ended", attrs...)
}
