package cli

import (
	"slices"
	"strings"

	"httpipe/access"
	"httpipe/process"
)

// An option describes one option once: how it is spelled, parsed and explained. The flags, the variables, the lines of
// the config file, the help, the completion and the manual page come from it.
type option struct {
	name  string // the flag, without dashes
	short string // its one-letter spelling, or empty
	plain string // a variable that is read after the HTTPIPE_ one, or empty
	group string // the heading it stands under; a command's own option has none
	arg   string // how the help names its value; empty: the flag alone means true
	def   string // the default, as one would type it; empty: none
	help  string
	words []string // its possible values, for completion; nil: any

	list   bool // it can be given several times; the texts are joined by spaces
	secret bool // its text must not be printed

	// guarded marks an option whose default lets more clients in than any value does, or that names the file with such
	// options. An empty text is then an error in every source: it comes from a $SECRET that is not set, or a
	// $(cat FILE) that failed, and must not open the server. For any other option an empty variable counts as unset.
	guarded bool

	set func(text string) error // parses text into the field of Config
}

// env returns the name of the option's own environment variable.
func (o option) env() string {
	return "HTTPIPE_" + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// variables returns the environment variables of the option, in order of precedence.
func (o option) variables() []string {
	if o.plain == "" {
		return []string{o.env()}
	}
	return []string{o.env(), o.plain}
}

// options returns the table of the relay's options, in the order of the help. Their set functions write to c.
func options(c *Config) []option {
	return slices.Concat(relayOptions(c), tlsOptions(c), nodeOptions(c), accessOptions(c), limitOptions(c), recordOptions(c))
}

func relayOptions(c *Config) []option {
	const listening, relaying, topics = "Listening", "Waiting and relaying", "Topics"
	return []option{
		{name: "port", short: "p", plain: "PORT", group: listening, arg: "N", def: "3000",
			help: "port to listen on; 0 chooses a free one",
			set:  into(&c.Port, parsePort)},
		{name: "host", group: listening, arg: "HOST", guarded: true,
			help: "address to listen on instead of all interfaces, such as 127.0.0.1",
			set:  into(&c.Host, parseHost)},
		{name: "require-https", group: listening, def: "false", guarded: true,
			help: "refuse requests that X-Forwarded-Proto marks as plain HTTP",
			set:  into(&c.RequireHTTPS, parseBool)},
		{name: "drop-to", group: listening, arg: "USER",
			help: "user to switch to when started as root: NAME, UID or UID:GID",
			set:  into(&c.DropTo, process.ParseAccount)},
		{name: "cors-origin", group: listening, arg: "ORIGINS", def: "*", guarded: true,
			help: "comma-separated origins that may call; *: any may send/receive",
			set:  into(&c.CORSOrigins, parseOrigins)},
		{name: "metrics-addr", group: listening, arg: "ADDR", def: "off",
			help: "address to serve /metrics on, such as 127.0.0.1:9091; 0: off",
			set:  into(&c.MetricsAddr, orOff("off", parseAddr))},

		{name: "request-timeout", short: "r", plain: "REQUEST_TIMEOUT", group: relaying, arg: "TIME", def: "none",
			help: "how long a request may wait for its partner; 0: no limit",
			set:  into(&c.RequestTimeout, orOff("no limit", parseDuration))},
		{name: "read-ahead", group: relaying, arg: "SIZE", def: "64KiB",
			help: "bytes of a waiting body to hold in memory (1KiB to 16MiB)",
			set:  into(&c.ReadAhead, sizeBetween(1<<10, 16<<20, "1KiB to 16MiB"))},
		{name: "max-body", group: relaying, arg: "SIZE", def: "none",
			help: "largest body to relay; 0: no limit",
			set:  into(&c.MaxBody, orOff("no limit", parseSize))},
		{name: "stall-timeout", group: relaying, arg: "TIME", def: "60s",
			help: "cut off a consumer that accepts no data for this long; 0: off",
			set:  into(&c.StallTimeout, orOff("off", parseDuration))},
		{name: "silence-timeout", group: relaying, arg: "TIME", def: "off",
			help: "cut off a producer that sends nothing for this long; 0: off",
			set:  into(&c.SilenceTimeout, orOff("off", parseDuration))},
		{name: "reply-timeout", group: relaying, arg: "TIME", def: "60s",
			help: "how long a caller waits for its answer; 0: no limit",
			set:  into(&c.ReplyTimeout, orOff("no limit", parseDuration))},
		{name: "drain-timeout", group: relaying, arg: "TIME", def: "30s",
			help: "how long running exchanges may continue after SIGTERM",
			set:  into(&c.DrainTimeout, parseDuration)},

		{name: "max-message", group: topics, arg: "SIZE", def: "1MiB",
			help: "largest message to a topic; 0: no limit",
			set:  into(&c.MaxMessage, orOff("no limit", parseSize))},
		{name: "max-message-memory", group: topics, arg: "SIZE", def: "64MiB",
			help: "memory for all messages to topics; 0: no limit",
			set:  into(&c.MaxMessageMemory, orOff("no limit", parseSize))},
		{name: "message-timeout", group: topics, arg: "TIME", def: "10s",
			help: "cut off a subscriber that accepts no data for this long; 0: off",
			set:  into(&c.MessageTimeout, orOff("off", parseDuration))},
	}
}

func tlsOptions(c *Config) []option {
	const group = "TLS"
	return []option{
		{name: "tls-cert", group: group, arg: "FILE", guarded: true,
			help: "PEM certificate, with its issuers', for TLS on the port",
			set:  into(&c.TLSCert, parseFileName)},
		{name: "tls-key", group: group, arg: "FILE", guarded: true,
			help: "PEM key of --tls-cert; both are read again when they change",
			set:  into(&c.TLSKey, parseFileName)},
		{name: "tls-domain", group: group, arg: "NAME", guarded: true,
			help: "DNS name of this server; gets and renews its certificate by ACME",
			set:  into(&c.TLSDomain, parseDomain)},
		{name: "acme-url", group: group, arg: "URL", def: "letsencrypt",
			help: "certificate authority; --tls-domain accepts its terms of service",
			set:  into(&c.ACMEURL, parseACMEURL)},
		{name: "acme-addr", group: group, arg: "ADDR", def: ":80",
			help: "address that answers the authority over plain HTTP; 0: off",
			set:  into(&c.ACMEAddr, orOff("off", parseAddr))},
	}
}

func nodeOptions(c *Config) []option {
	const group = "Several nodes"
	return []option{
		{name: "nodes", group: group, arg: "FILE", guarded: true,
			help: "table of all nodes, which httpipe nodes table prints",
			set:  into(&c.Nodes, parseFileName)},
		{name: "node", group: group, arg: "NAME", guarded: true,
			help: "name of this node in the table",
			set:  into(&c.Node, anyText)},
	}
}

func accessOptions(c *Config) []option {
	const group = "Access"
	return []option{
		{name: "auth-secret", group: group, arg: "SECRET", secret: true, guarded: true,
			help: "secret that admits clients and signs their tokens",
			set:  into(&c.AuthSecret, parseSecret)},
		{name: "anonymous", group: group, arg: "GRANT", list: true,
			help: "what needs no token, such as produce:hooks/*; repeatable",
			set:  into(&c.Anonymous, access.ParseGrants)},
	}
}

func limitOptions(c *Config) []option {
	const limits = "Limits"
	return []option{
		{name: "max-waiting", group: limits, arg: "N", def: "auto",
			help: "waiting requests in all; auto: as ulimit -n allows, up to 10000",
			set:  into(&c.MaxWaiting, orWord("auto", parseCount))},
		{name: "max-waiting-per-channel", group: limits, arg: "N", def: "1000",
			help: "waiting requests on one channel; 0: no limit",
			set:  into(&c.MaxWaitingPerChannel, orOff("no limit", parseCount))},
		{name: "max-waiting-per-client", group: limits, arg: "N", def: "none",
			help: "waiting requests of one address (IPv6: one /64); 0: no limit",
			set:  into(&c.MaxWaitingPerClient, orOff("no limit", parseCount))},
		{name: "rate-per-client", group: limits, arg: "N", def: "none",
			help: "requests per minute from one address; 0: no limit",
			set:  into(&c.RatePerClient, orOff("no limit", parseCount))},
		{name: "client-ip-header", group: limits, arg: "NAME", guarded: true,
			help: "header in which a trusted proxy sends the client's address",
			set:  into(&c.ClientIPHeader, parseHeaderName)},
		{name: "max-header", group: limits, arg: "SIZE", def: "32KiB",
			help: "largest request line and headers to accept (4KiB to 1MiB)",
			set:  into(&c.MaxHeader, sizeBetween(4<<10, 1<<20, "4KiB to 1MiB"))},
		{name: "header-timeout", group: limits, arg: "TIME", def: "10s",
			help: "how long a client may take to send the request headers",
			set:  into(&c.HeaderTimeout, positive(parseDuration))},
	}
}

func recordOptions(c *Config) []option {
	const auditing, logging = "Audit log", "Logging and configuration"
	return []option{
		{name: "audit-db", group: auditing, arg: "FILE", def: "httpipe.db",
			help: "SQLite file of the audit log, created if missing",
			set:  into(&c.AuditDB, anyText)},
		{name: "audit", group: auditing, arg: "MODE", def: string(AuditRequired), words: []string{"strict", "required", "best-effort", "off", "read-only"},
			help: "how to record: strict, required, best-effort, off or read-only",
			set:  into(&c.Audit, oneOf(AuditStrict, AuditRequired, AuditBestEffort, AuditOff, AuditReadOnly))},
		{name: "audit-retention", group: auditing, arg: "TIME", def: "off",
			help: "age at which to remove rows, such as 90d; 0: never",
			set:  into(&c.AuditRetention, orOff("never", parseAge))},

		{name: "log-format", group: logging, arg: "FORMAT", def: "text", words: []string{"text", "json"},
			help: "format of the log on stderr: text or json",
			set:  into(&c.LogFormat, oneOf("text", "json"))},
		{name: "log-level", group: logging, arg: "LEVEL", def: "info", words: []string{"debug", "info", "warn", "error"},
			help: "least severe level to log: debug, info, warn or error",
			set:  into(&c.LogLevel, parseLevel)},
		{name: "config", group: logging, arg: "FILE", guarded: true,
			help: `file with more options, one "name value" per line`,
			set:  into(&c.ConfigFile, parseFileName)},
	}
}

// optionNames returns the names of the relay's options.
func optionNames() (names []string) {
	for _, o := range options(&Config{}) {
		names = append(names, o.name)
	}
	return names
}
