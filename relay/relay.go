package relay

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// Config configures a Relay. Zero values of limits mean no limit.
type Config struct {
	RequestTimeout time.Duration // the longest that a request may wait
	ReadAhead      int           // bytes of a waiting producer's body that are held in memory; must be set
	MaxBody        int64         // bytes
	SilenceTimeout time.Duration // of a publisher that is sending its message
	StallTimeout   time.Duration // of a consumer whose kernel acknowledges nothing
	HeaderTimeout  time.Duration // for the body of a GET
	MaxHeader      int           // bytes in the head of a request or of a form's part; must be set
	ClientIPHeader string        // set by a proxy in front; consumers do not see it

	// Unavailable returns the error that requests are answered with while nothing may be relayed, otherwise nil. It must not
	// block.
	Unavailable func() *reply.Error
	Logger      *slog.Logger
	// CountError is called with the code of an error with which a request was answered after its handler had returned, so
	// that Request.ErrorCode is not set. nil: none is counted.
	CountError func(code string)
	// Missed returns how many publications of a topic the log has between the ids after and before, and the id of the
	// newest of them. known is false if the log does not know. nil: there is no log.
	Missed func(ctx context.Context, topic pipe.Key, after, before string) (count int64, newest string, known bool)
	// Handler answers the requests to channels, topics and services. It passes those that produce or consume to the
	// Relay, and must not keep a request or its ResponseWriter. Responses have Cache-Control: no-store unless it sets
	// another.
	Handler func(http.ResponseWriter, *Request)
}

// A Relay serves the requests that produce and consume. Its methods may be called from any goroutine.
type Relay struct {
	config Config
	broker *pipe.Broker
	engine *engine

	streams streams

	used atomic.Bool // an exchange has ended, and was logged at info
}

// New returns a relay for the channels of broker.
func New(config Config, broker *pipe.Broker) *Relay {
	l := &Relay{config: config, broker: broker}
	l.engine = newEngine(l)
	return l
}

// Serve accepts connections from ln until it is closed, and serves the requests to channels, topics and services. ln
// may be of package tls. After Shutdown it returns nil. It does not wait for the connections.
func (l *Relay) Serve(ln net.Listener) error { return l.engine.accept(ln) }

// Others returns the listener from which an http.Server gets the connections that carry any other request. The server
// must have ConnContext and NoteState, and a handler by BreakOff.
func (l *Relay) Others() net.Listener { return &l.engine.others }

// Connections returns how many connections are open.
func (l *Relay) Connections() int { return l.engine.count() }

// Shutdown closes the listener, and each connection as soon as it carries no request. It blocks until there is none. When
// ctx is done, it closes the rest and returns an error. Shut the broker down before.
func (l *Relay) Shutdown(ctx context.Context) error {
	return l.engine.shutdown(ctx)
}

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
