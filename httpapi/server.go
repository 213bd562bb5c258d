package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"

	"httpipe/access"
	"httpipe/audit"
	"httpipe/metrics"
	"httpipe/nodes"
	"httpipe/pipe"
	"httpipe/relay"
	"httpipe/reply"
	"httpipe/store"
)

const (
	// idleTimeout is longer than proxies keep a connection pooled, so that they close first.
	idleTimeout = 120 * time.Second
	// answerTimeout is how long handlers have, at the end, to write their answers; more than a commit may take.
	answerTimeout = 6 * time.Second
)

// Config configures a Server. Zero values of limits mean no limit.
type Config struct {
	Log        *store.Log       // the audit log; nil: --audit=off, or read-only
	History    *store.History   // --audit=read-only: the log to show; nothing is relayed
	Strict     bool             // --audit=strict
	BestEffort bool             // --audit=best-effort
	Metrics    *metrics.Metrics // of this server; nil: nothing is counted

	Guard *access.Guard // checks permissions; must be set
	Nodes *nodes.Member // this server as one of several nodes; nil: it is the only one

	RequestTimeout time.Duration // how long the server lets a request wait
	ReadAhead      int           // bytes of a waiting producer's body held in memory; must be set
	MaxBody        int64         // bytes
	StallTimeout   time.Duration // for a consumer whose kernel acknowledges nothing
	SilenceTimeout time.Duration // for a producer that sends nothing
	ReplyTimeout   time.Duration // for the answer to a call, from the end of its request to its own beginning

	MaxMessage       int64         // bytes of one message to a topic
	MaxMessageMemory int64         // bytes that all messages may take
	MessageTimeout   time.Duration // for a subscriber whose kernel acknowledges nothing of a message

	Limits         pipe.Limits   // of waiting requests
	RatePerClient  int           // requests a minute
	ClientIPHeader string        // where a trusted proxy puts the client's address; "" trusts none
	MaxHeader      int           // bytes; must be set
	HeaderTimeout  time.Duration // for the head of a request, and the body of a GET; not for the wait that follows

	RequireHTTPS bool // refuse requests that reached a proxy in front by plain http

	CORSOrigins []string // origins whose pages may use the API; "*" lets pages of any origin produce and consume
	Logger      *slog.Logger
}

// A Server is a relay with its API, for one listener.
type Server struct {
	config Config
	broker *pipe.Broker
	http   *http.Server
	audit  *audit.Recorder // nil without a log

	relay    *relay.Relay
	clients  *clients
	gate     *gate
	limits   *limits
	cors     *cors
	others   *others
	channels *channels
	topics   *topics
	health   *health
	history  *history
	live     *live
	router   *router
	member   *member
}

// Ids of exchanges are made under the broker's lock, which should not wait for the kernel's random
// numbers each time.
func init() { uuid.EnableRandPool() }

// New returns a server. Serve runs it.
func New(config Config) *Server {
	s := &Server{config: config, clients: &clients{header: config.ClientIPHeader, logger: config.Logger}}
	s.broker, s.audit = newBroker(&config)
	s.health = &health{broker: s.broker, log: config.Log, bestEffort: config.BestEffort, readOnly: config.History != nil}
	s.relay = relay.New(relay.Config{
		RequestTimeout: config.RequestTimeout,
		ReadAhead:      config.ReadAhead,
		MaxBody:        config.MaxBody,
		SilenceTimeout: config.SilenceTimeout,
		StallTimeout:   config.StallTimeout,
		HeaderTimeout:  config.HeaderTimeout,
		MaxHeader:      config.MaxHeader,
		ClientIPHeader: config.ClientIPHeader,
		Unavailable:    s.health.refusal,
		Logger:         config.Logger,
		CountError:     config.Metrics.CountError,
		Missed:         missedIn(config.Log),
		Handler:        s.serve,
	}, s.broker)
	refusals := &refusals{audit: s.audit, metrics: config.Metrics, clients: s.clients}
	s.member = &member{Member: config.Nodes, health: s.health, refusals: refusals}
	s.gate = &gate{guard: config.Guard, failures: newRates(failuresPerMinute), clients: s.clients, refusals: refusals}
	s.cors = &cors{origins: config.CORSOrigins}
	s.limits = &limits{rates: newRates(config.RatePerClient), requireHTTPS: config.RequireHTTPS, cors: s.cors, clients: s.clients, refusals: refusals}
	s.others = newOthers(&config, s.clients)
	s.channels = &channels{broker: s.broker, gate: s.gate, others: s.others}
	s.topics = &topics{broker: s.broker}
	s.history = &history{rows: config.History, log: config.Log, gate: s.gate, others: s.others, stopping: s.broker.Stopping, logger: config.Logger}
	if config.Log != nil {
		s.history.rows = config.Log.History()
	}
	s.live = newLive(s.broker.Snapshot)
	s.live.bodyTimeout = config.HeaderTimeout
	if config.Nodes != nil {
		s.live.node = config.Nodes.Name()
		config.Metrics.SetNode(s.live.node)
	}
	s.router = newRouter(s.routes())

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           relay.BreakOff(s),
		Protocols:         protocols,
		ReadHeaderTimeout: config.HeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    config.MaxHeader,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
		ConnContext:       relay.ConnContext,
		ConnState:         relay.NoteState,
	}
	return s
}

// newBroker returns the broker, and the recorder of its events, which is nil without a log.
func newBroker(config *Config) (*pipe.Broker, *audit.Recorder) {
	brokerConfig := pipe.Config{
		NewID:          func() string { return uuid.Must(uuid.NewV7()).String() },
		Strict:         config.Strict,
		SilenceTimeout: config.SilenceTimeout,
		Limits:         config.Limits,

		MaxMessage:       config.MaxMessage,
		MaxMessageMemory: config.MaxMessageMemory,
		MessageTimeout:   config.MessageTimeout,
		Look:             relay.Look,
		NewReplyID:       newReplyID,
		ReplyTimeout:     config.ReplyTimeout,
	}
	if m := config.Nodes; m != nil {
		brokerConfig.Serves = func(k pipe.Key) bool { return m.Serves(k.Namespace, k.Channel) }
	}
	var recorder *audit.Recorder
	if config.Log != nil {
		recorder = audit.NewRecorder(config.Log, config.BestEffort)
		brokerConfig.Recorder = recorder
	}
	brokerConfig.Recorder = config.Metrics.Recorder(brokerConfig.Recorder)
	broker := pipe.New(brokerConfig)
	config.Metrics.Register(broker, config.Log)
	return broker, recorder
}

// ServeHTTP implements http.Handler, for what net/http has read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // of all responses but messages
	read := relay.NewRequest(r)
	read.IgnoreBody(w)
	s.serve(w, read)
}

// serve answers a request.
func (s *Server) serve(w http.ResponseWriter, read *relay.Request) {
	r := newRequest(read)
	s.answer(w, r)
	if r.ErrorCode != "" {
		s.config.Metrics.CountError(r.ErrorCode)
	}
	r.release() // not after a panic
}

// answer answers r with the handler of its route, or refuses it.
func (s *Server) answer(w http.ResponseWriter, r *request) {
	entry, e := s.router.find(r)
	if s.cors.allow(w, r, entry) && preflight(w, r) {
		return
	}
	if e == nil && !entry.health {
		e = s.limits.overPlainHTTP(r)
	}
	if entry == nil && r.Method == http.MethodGet && reply.WantsHTML(r.Header.Joined("Accept")) {
		showNotFound(w, r, e)
		return
	}
	if e != nil {
		r.Refuse(w, e)
		return
	}
	if handle := entry.handler(r); handle != nil {
		if s.config.Nodes != nil {
			e = s.member.misdirected(r)
		}
		if e == nil && !entry.health {
			e = s.limits.overRate(r)
		}
		if e == nil {
			e = s.limits.fromPage(r)
		}
		if e != nil {
			r.Refuse(w, e)
			return
		}
		handle(w, r)
		return
	}
	w.Header().Set("Allow", entry.allow())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.Refuse(w, &reply.Error{Status: http.StatusMethodNotAllowed, Code: reply.CodeMethod,
		Text: r.Method + " is not possible here; " + entry.allow() + " are"})
}

// Serve answers requests from ln until Shutdown, which closes ln; then it returns nil.
func (s *Server) Serve(ln net.Listener) error {
	if s.config.Nodes != nil {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		go s.config.Nodes.Run(ctx, s.broker.GiveUp)
	}
	go s.http.Serve(s.relay.Others()) // until Shutdown
	return s.relay.Serve(ln)
}

// Shutdown refuses waiting and new requests, and blocks until the running exchanges have ended and are answered. When
// ctx is done it cuts them. The listener stays open until then. Its error says that some answers could not be sent.
func (s *Server) Shutdown(ctx context.Context) error {
	s.live.stop()
	s.broker.Shutdown(ctx)
	if s.audit != nil {
		defer s.audit.Flush()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	s.others.client.CloseIdleConnections()
	go s.http.Shutdown(ctx) // closes the connections that carry no request; the relay waits for all
	return s.relay.Shutdown(ctx)
}
