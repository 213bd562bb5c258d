package cli

import (
	"slices"
	"strings"
)

// option describes one option once: how it is spelled, parsed, and explained.
// The flags, the variables, the lines of the config file and the help all come
// from it.
type option struct {
	name  string // the flag, without dashes
	short string // its one-letter spelling, or empty
	plain string // a variable that is read after the HTTPIPE_ one, or empty
	group string // the heading it stands under
	arg   string // what the help calls its value; empty: it is true when it is given, and else false
	def   string // the default, as one would type it; empty: none
	help  string

	list   bool // it can be given several times; the texts are joined by blanks
	secret bool // its text is shown to nobody

	// guarded marks an option whose default lets more clients in than any value does, or that names the file
	// in which such options are. An empty text is then an error in every source: it comes from a $SECRET that is
	// not set, or a $(cat FILE) that failed, and must not open the server. Of any other option an empty variable
	// is the same as none.
	guarded bool

	set func(text string) error // parses text into the field of config
}

// env is the name of the option's own environment variable.
func (o option) env() string {
	return "HTTPIPE_" + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// variables are the environment variables that give the option, the first one
// first.
func (o option) variables() []string {
	if o.plain == "" {
		return []string{o.env()}
	}
	return []string{o.env(), o.plain}
}

// options is the table of all options, in the order of the help. Their set
// functions write to c.
func options(c *Config) []option {
	return slices.Concat(relayOptions(c), accessOptions(c), limitOptions(c), recordOptions(c))
}

func relayOptions(c *Config) []option {
	const listening, relaying = "Listening", "Waiting and relaying"
	return []option{
		{name: "port", short: "p", plain: "PORT", group: listening, arg: "N", def: "3000",
			help: "port to listen on; 0 takes any free one",
			set:  into(&c.Port, parsePort)},
		{name: "host", group: listening, arg: "HOST", guarded: true,
			help: "address to listen on, such as 127.0.0.1; none is all interfaces",
			set:  into(&c.Host, parseHost)},
		{name: "require-https", group: listening, def: "false", guarded: true,
			help: "refuse what came to the proxy by plain http (X-Forwarded-Proto)",
			set:  into(&c.RequireHTTPS, parseBool)},
		{name: "drop-to", group: listening, arg: "USER",
			help: "whom a start as root becomes: NAME, UID or UID:GID",
			set:  into(&c.DropTo, process.ParseAccount)},
		{name: "cors-origin", group: listening, arg: "ORIGINS", def: "*", guarded: true,
			help: "origins whose pages may call, separated by commas; * is any",
			set:  into(&c.CORSOrigin, parseOrigins)},
		{name: "metrics-addr", group: listening, arg: "ADDR", def: "off",
			help: "where /metrics can be scraped, such as 127.0.0.1:9091; 0 is off",
			set:  into(&c.MetricsAddr, orOff(parseAddr))},

		{name: "request-timeout", short: "r", plain: "REQUEST_TIMEOUT", group: relaying, arg: "TIME", def: "none",
			help: "longest that a request waits for its partner; 0 is no limit",
			set:  into(&c.RequestTimeout, orOff(parseDuration))},
		{name: "read-ahead", group: relaying, arg: "SIZE", def: "64KiB",
			help: "how much of a waiting body is held in memory (1KiB to 16MiB)",
			set:  into(&c.ReadAhead, sizeBetween(1<<10, 16<<20, "1KiB to 16MiB"))},
		{name: "max-body", group: relaying, arg: "SIZE", def: "none",
			help: "largest body that is relayed; 0 is no limit",
			set:  into(&c.MaxBody, orOff(parseSize))},
		{name: "stall-timeout", group: relaying, arg: "TIME", def: "60s",
			help: "longest that a consumer takes none of what is ready; 0 is off",
			set:  into(&c.StallTimeout, orOff(parseDuration))},
		{name: "silence-timeout", group: relaying, arg: "TIME", def: "off",
			help: "longest that a producer whose turn it is sends nothing; 0 is off",
			set:  into(&c.SilenceTimeout, orOff(parseDuration))},
		{name: "drain-timeout", group: relaying, arg: "TIME", def: "30s",
			help: "how long running exchanges may go on after SIGTERM",
			set:  into(&c.DrainTimeout, parseDuration)},
	}
}

func accessOptions(c *Config) []option {
	const access = "Access"
	return []option{
		{name: "auth-secret", group: access, arg: "SECRET", secret: true, guarded: true,
			help: "lets only those in who have it, or a token signed with it",
			set:  into(&c.AuthSecret, parseSecret)},
		{name: "anonymous", group: access, arg: "GRANT", list: true,
			help: "what everybody may do nevertheless: produce:hooks/*; repeatable",
			set:  into(&c.Anonymous, parseGrants)},
	}
}

func limitOptions(c *Config) []option {
	const limits = "Limits"
	return []option{
		{name: "max-waiting", group: limits, arg: "N", def: "auto",
			help: "requests that wait; auto is what ulimit -n allows, up to 10000",
			set:  into(&c.MaxWaiting, orWord("auto", parseCount))},
		{name: "max-waiting-per-channel", group: limits, arg: "N", def: "1000",
			help: "those on one channel; 0 is no limit",
			set:  into(&c.MaxWaitingPerChannel, orOff(parseCount))},
		{name: "max-waiting-per-client", group: limits, arg: "N", def: "none",
			help: "those of one address (IPv6: of one /64); 0 is no limit",
			set:  into(&c.MaxWaitingPerClient, orOff(parseCount))},
		{name: "rate-per-client", group: limits, arg: "N", def: "none",
			help: "requests a minute of one address; 0 is no limit",
			set:  into(&c.RatePerClient, orOff(parseCount))},
		{name: "client-ip-header", group: limits, arg: "NAME", guarded: true,
			help: "where a trusted proxy puts the client's address: X-Real-IP",
			set:  into(&c.ClientIPHeader, parseHeaderName)},
		{name: "max-header", group: limits, arg: "SIZE", def: "32KiB",
			help: "largest head of a request (4KiB to 1MiB)",
			set:  into(&c.MaxHeader, sizeBetween(4<<10, 1<<20, "4KiB to 1MiB"))},
		{name: "header-timeout", group: limits, arg: "TIME", def: "10s",
			help: "longest that a client takes to send the head of a request",
			set:  into(&c.HeaderTimeout, positive(parseDuration))},
	}
}

func recordOptions(c *Config) []option {
	const auditing, logging = "Audit log", "Logging and configuration"
	return []option{
		{name: "audit-db", group: auditing, arg: "FILE", def: "httpipe.db",
			help: "SQLite file of the audit log, made if it is missing",
			set:  into(&c.AuditDB, anyText)},
		{name: "audit", group: auditing, arg: "MODE", def: string(AuditRequired),
			help: "strict, required, best-effort or off (see the README)",
			set:  into(&c.Audit, oneOf(AuditStrict, AuditRequired, AuditBestEffort, AuditOff))},
		{name: "audit-retention", group: auditing, arg: "TIME", def: "off",
			help: "age at which rows are removed, such as 90d; 0 is never",
			set:  into(&c.AuditRetention, orOff(parseAge))},

		{name: "log-format", group: logging, arg: "FORMAT", def: "text",
			help: "text or json",
			set:  into(&c.LogFormat, oneOf("text", "json"))},
		{name: "log-level", group: logging, arg: "LEVEL", def: "info",
			help: "least that is logged: debug, info, warn or error",
			set:  into(&c.LogLevel, parseLevel)},
		{name: "config", group: logging, arg: "FILE", guarded: true,
			help: `file of more options, one "name value" on a line`,
			set:  into(&c.ConfigFile, parseFileName)},
	}
}
