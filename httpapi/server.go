// Package httpapi is httpipe's face: it turns HTTP requests into arrivals at a pipe.Broker, and what
// comes of them into responses.
//
// A request loses its credentials (credential.go), is routed (server.go, path.go), let in if its sender
// may do this (access.go, cors.go), becomes an arrival (produce.go, consume.go), waits while its connection is
// watched (conn.go, watch_linux.go), and is answered from one table of outcomes (answer.go). What happens
// on the way goes into the audit log through books.go, and is shown to whoever looks on (live.go, view.go).
// Who wants to know what this is gets a page or a manual (page.go). The package holds no state of its own:
// who waits and what runs is the broker's, what is on record the store's.
//
// Nothing wraps the http.ResponseWriter of a relayed body: a wrapper that compresses, counts or
// recovers would delay bytes, change them, or make half a body look whole.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"httpipe/access"
	"httpipe/audit"
	"httpipe/metrics"
	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

const (
	// idleTimeout is longer than proxies keep a connection pooled, so that they close first.
	idleTimeout = 120 * time.Second
	// goodbye is how long, at the end, handlers have to write the answers that they hold; more than a
	// commit may take.
	goodbye = 6 * time.Second
)

// Config is how a Server behaves. The zero value of a limit is none.
type Config struct {
	Log        *store.Log       // the audit log; nil: --audit=off
	Strict     bool             // --audit=strict
	BestEffort bool             // --audit=best-effort
	Metrics    *metrics.Metrics // of this server; nil: nothing is counted

	Guard *access.Guard // who may do what; must be set

	RequestTimeout time.Duration // how long the server lets a request wait
	ReadAhead      int           // bytes of a waiting producer's body held in memory; must be set
	MaxBody        int64         // bytes
	StallTimeout   time.Duration // for a consumer whose kernel acknowledges nothing
	SilenceTimeout time.Duration // for a producer that sends nothing

	Limits         pipe.Limits   // of waiting requests
	RatePerClient  int           // requests a minute
	ClientIPHeader string        // where a trusted proxy puts the client's address; "" trusts none
	MaxHeader      int           // bytes; must be set
	HeaderTimeout  time.Duration // for the head of a request. Nothing bounds one that waits: that is what it is for

	RequireHTTPS bool // refuse what a proxy in front says to have got by plain http

	CORSOrigins []string // origins whose pages may use the API; of "*", any, they may produce and consume
	Logger      *slog.Logger
}

// A Server is the relay behind a listener.
type Server struct {
	config    Config
	broker    *pipe.Broker
	http      *http.Server
	routes    map[string]methods
	watch     *watcher
	live      *live
	rates     *rates          // nil without a limit
	failures  *rates          // of tokens
	audit     *audit.Recorder // nil without a log
	used      atomic.Bool     // an exchange has ended, and was logged at info
	noAddress sync.Once       // for the log line about a ClientIPHeader that holds no address
	taken     sync.WaitGroup  // handlers of requests that were taken over, of which net/http knows nothing
}

// Ids of exchanges are made under the broker's lock, which should not wait for the kernel's random
// numbers each time.
func init() { uuid.EnableRandPool() }

// New returns a server that has yet to Serve.
func New(config Config) (*Server, error) {
	watch, err := newWatcher()
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, watch: watch, rates: newRates(config.RatePerClient), failures: newRates(failuresPerMinute)}
	brokerConfig := pipe.Config{
		NewID:          func() string { return uuid.Must(uuid.NewV7()).String() },
		Strict:         config.Strict,
		SilenceTimeout: config.SilenceTimeout,
		Limits:         config.Limits,
	}
	if config.Log != nil {
		s.audit = audit.NewRecorder(config.Log, config.BestEffort)
		brokerConfig.Recorder = s.audit
	}
	brokerConfig.Recorder = config.Metrics.Recorder(brokerConfig.Recorder)
	s.broker = pipe.New(brokerConfig)
	config.Metrics.Register(s.broker, config.Log)
	s.live = newLive(s.broker.Snapshot)
	s.routes = s.table()

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           s.handler(),
		Protocols:         protocols,
		ReadHeaderTimeout: config.HeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    config.MaxHeader,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
		ConnContext:       withConn,
		ConnState:         noteState,
	}
	return s, nil
}

// The paths that there are. One that takes none of these routes is not found.
const (
	routeHome       = "/"
	routeAsset      = assets + "{file}"
	routeHealth     = "/healthz"
	routeLive       = "/audit/live"
	routeOpenAPI    = "/openapi.json"
	routeState      = "/state"
	routeNamespaces = "/channels/namespaces" // shadows the listing of a namespace of that name, and no more
	routeNamespace  = "/channels/{namespace}"
	routeChannel    = "/channels/{namespace}/{channel}"

	routeReceipt       = "/exchanges/{id}"
	routeAudit         = "/audit/exchanges/{id}"
	routeAuditPage     = "/audit"
	routeAuditSummary  = "/audit/summary"
	routeAuditRequests = "/audit/requests"
	routeAuditChannels = "/audit/channels"
	routeAuditList     = "/audit/exchanges"

	assets = "/assets/"
)

// table is what can be done on each route. OPTIONS can be done everywhere, anything else nowhere.
func (s *Server) table() map[string]methods {
	home, audit, asset := compressed(s.home), compressed(s.auditPage), compressed(s.asset)
	produce, consume := s.requires(access.Produce, s.produce), s.requires(access.Consume, s.consume)
	look := s.requires(access.Look, s.look)
	state := s.requires(access.Look, compressed(s.state))
	namespaces := ofAll(s.requires(access.Look, compressed(s.listNamespaces)))
	channels := s.requires(access.Look, compressed(s.listChannels))
	deleteChannel, deleteNamespace := s.requires(access.Delete, s.deleteChannel), s.requires(access.Delete, s.deleteNamespace)
	document := compressed(s.showOpenAPI)
	paging := []string{"limit", "cursor"}
	exchanges, requests := compressed(s.asks(store.Exchanges, paging, s.list)), compressed(s.asks(store.Requests, paging, s.list))
	lives, summary := compressed(s.asks(store.Channels, paging, s.list)), compressed(s.asks(store.Exchanges, []string{"within"}, s.summarize))
	return map[string]methods{
		routeHome:          {"GET": home, "HEAD": home},
		routeAsset:         {"GET": asset, "HEAD": asset},
		routeReceipt:       {"GET": s.showReceipt, "HEAD": s.showReceipt},
		routeAudit:         {"GET": s.showExchange, "HEAD": s.showExchange},
		routeAuditList:     {"GET": exchanges, "HEAD": exchanges},
		routeAuditRequests: {"GET": requests, "HEAD": requests},
		routeAuditChannels: {"GET": lives, "HEAD": lives},
		routeAuditPage:     {"GET": audit, "HEAD": audit},
		routeAuditSummary:  {"GET": summary, "HEAD": summary},

		routeHealth:     {"GET": s.health, "HEAD": s.health},
		routeLive:       {"GET": s.requires(access.Audit, s.showLive)},
		routeOpenAPI:    {"GET": document, "HEAD": document},
		routeState:      {"GET": state, "HEAD": state},
		routeNamespaces: {"GET": namespaces, "HEAD": namespaces, "DELETE": deleteNamespace},
		routeNamespace:  {"GET": channels, "HEAD": channels, "DELETE": deleteNamespace},
		routeChannel:    {"POST": produce, "PUT": produce, "GET": consume, "HEAD": look, "DELETE": deleteChannel},
	}
}

// handler is the routes with what goes around all of them.
func (s *Server) handler() http.Handler {
	serve := s.countErrors(s.serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		serve(w, announce(r))
	})
}

// countErrors has the metrics count the errors that h answers.
func (s *Server) countErrors(h http.HandlerFunc) http.HandlerFunc {
	if s.config.Metrics == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		if code := w.Header().Get(reply.HeaderError); code != "" {
			s.config.Metrics.CountError(code)
		}
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	route, key, f := find(rawPath(r))
	methods := s.routes[route]
	if s.cross(w, r, route) && preflight(w, r) {
		return
	}
	if f == nil {
		f = s.overPlainHTTP(r, key)
	}
	if f != nil {
		refuse(w, r, f)
		return
	}
	if h, ok := methods[r.Method]; ok {
		if f := s.overRate(r, key); f != nil {
			refuse(w, r, f)
			return
		}
		h(w, r, key)
		return
	}
	w.Header().Set("Allow", methods.allow())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	refuse(w, r, &reply.Error{Status: http.StatusMethodNotAllowed, Code: reply.CodeMethod,
		Text: r.Method + " is not possible here; " + methods.allow() + " are"})
}

// Serve answers requests from ln, which it closes, until Shutdown; then it returns nil.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(&listener{Listener: ln, watch: s.watch})
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

// Shutdown sends waiters and new requests away, and blocks until the running exchanges have ended and
// are answered; once ctx is done it cuts them. The listener stays open meanwhile.
func (s *Server) Shutdown(ctx context.Context) error {
	s.live.stop()
	s.broker.Shutdown(ctx)
	defer s.watch.close()
	if s.audit != nil {
		defer s.audit.Flush()
	}
	for s.watch.shed(0) { // net/http would wait for connections that have not said anything yet
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	late := time.After(goodbye + time.Second)
	if s.http.Shutdown(ctx) != nil {
		s.http.Close() // of those who cannot be answered yet
	}
	answered := make(chan struct{})
	go func() {
		s.taken.Wait() // nobody is added any more
		close(answered)
	}()
	select {
	case <-answered:
		return nil
	case <-late:
		return errors.New("some producers could not be answered in time")
	}
}

// logEnd writes the one line of an exchange that has ended. The first one is logged at info, so that a person who tries
// the server sees that it works.
func (s *Server) logEnd(x *pipe.Exchange, outcome pipe.Outcome, cause error) {
	level := slog.LevelDebug
	first := !s.used.Load() && s.used.CompareAndSwap(false, true)
	if first {
		level = slog.LevelInfo
	}
	if outcome == pipe.Unrecorded {
		level = slog.LevelError
	}
	if !s.config.Logger.Enabled(context.Background(), level) {
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
	s.config.Logger.LogAttrs(context.Background(), level, "exchange ended", attrs...)
}
