package main

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
func options(c *config) []option {
	return slices.Concat(relayOptions(c), accessOptions(c), limitOptions(c), recordOptions(c))
}

func relayOptions(c *config) []option {
	const listening, relaying = "Listening", "Waiting and relaying"
	return []option{
		{name: "port", short: "p", plain: "PORT", group: listening, arg: "N", def: "3000",
			help: "port to listen on; 0 takes any free one",
			set:  into(&c.port, parsePort)},
		{name: "host", group: listening, arg: "HOST",
			help: "address to listen on, such as 127.0.0.1; none is all interfaces",
			set:  into(&c.host, parseHost)},
		{name: "require-https", group: listening, def: "false",
			help: "refuse what came to the proxy by plain http (X-Forwarded-Proto)",
			set:  into(&c.requireHTTPS, parseBool)},
		{name: "drop-to", group: listening, arg: "USER",
			help: "whom a start as root becomes: NAME, UID or UID:GID",
			set:  into(&c.dropTo, parseAccount)},
		{name: "cors-origin", group: listening, arg: "ORIGINS", def: "*",
			help: "origins whose pages may call, with commas; * may send and receive",
			set:  into(&c.corsOrigin, parseOrigins)},
		{name: "metrics-addr", group: listening, arg: "ADDR", def: "off",
			help: "where /metrics can be scraped, such as 127.0.0.1:9091; 0 is off",
			set:  into(&c.metricsAddr, orOff(parseAddr))},

		{name: "request-timeout", short: "r", plain: "REQUEST_TIMEOUT", group: relaying, arg: "TIME", def: "none",
			help: "longest that a request waits for its partner; 0 is no limit",
			set:  into(&c.requestTimeout, orOff(parseDuration))},
		{name: "read-ahead", group: relaying, arg: "SIZE", def: "64KiB",
			help: "how much of a waiting body is held in memory (1KiB to 16MiB)",
			set:  into(&c.readAhead, sizeBetween(1<<10, 16<<20, "1KiB to 16MiB"))},
		{name: "max-body", group: relaying, arg: "SIZE", def: "none",
			help: "largest body that is relayed; 0 is no limit",
			set:  into(&c.maxBody, orOff(parseSize))},
		{name: "stall-timeout", group: relaying, arg: "TIME", def: "60s",
			help: "longest that a consumer takes none of what is ready; 0 is off",
			set:  into(&c.stallTimeout, orOff(parseDuration))},
		{name: "silence-timeout", group: relaying, arg: "TIME", def: "off",
			help: "longest that a producer whose turn it is sends nothing; 0 is off",
			set:  into(&c.silenceTimeout, orOff(parseDuration))},
		{name: "drain-timeout", group: relaying, arg: "TIME", def: "30s",
			help: "how long running exchanges may go on after SIGTERM",
			set:  into(&c.drainTimeout, parseDuration)},
	}
}

func accessOptions(c *config) []option {
	const access = "Access"
	return []option{
		{name: "auth-secret", group: access, arg: "SECRET", secret: true,
			help: "lets only those in who have it, or a token signed with it",
			set:  into(&c.authSecret, parseSecret)},
		{name: "anonymous", group: access, arg: "GRANT", list: true,
			help: "what everybody may do nevertheless: produce:hooks/*; repeatable",
			set:  into(&c.anonymous, parseGrants)},
	}
}

func limitOptions(c *config) []option {
	const limits = "Limits"
	return []option{
		{name: "max-waiting", group: limits, arg: "N", def: "auto",
			help: "requests that wait; auto is what ulimit -n allows, up to 10000",
			set:  into(&c.maxWaiting, orWord("auto", parseCount))},
		{name: "max-waiting-per-channel", group: limits, arg: "N", def: "1000",
			help: "those on one channel; 0 is no limit",
			set:  into(&c.maxWaitingPerChannel, orOff(parseCount))},
		{name: "max-waiting-per-client", group: limits, arg: "N", def: "none",
			help: "those of one address (IPv6: of one /64); 0 is no limit",
			set:  into(&c.maxWaitingPerClient, orOff(parseCount))},
		{name: "rate-per-client", group: limits, arg: "N", def: "none",
			help: "requests a minute of one address; 0 is no limit",
			set:  into(&c.ratePerClient, orOff(parseCount))},
		{name: "client-ip-header", group: limits, arg: "NAME",
			help: "where a trusted proxy puts the client's address: X-Real-IP",
			set:  into(&c.clientIPHeader, parseHeaderName)},
		{name: "max-header", group: limits, arg: "SIZE", def: "32KiB",
			help: "largest head of a request (4KiB to 1MiB)",
			set:  into(&c.maxHeader, sizeBetween(4<<10, 1<<20, "4KiB to 1MiB"))},
		{name: "header-timeout", group: limits, arg: "TIME", def: "10s",
			help: "longest that a client takes to send the head of a request",
			set:  into(&c.headerTimeout, positive(parseDuration))},
	}
}

func recordOptions(c *config) []option {
	const auditing, logging = "Audit log", "Logging and configuration"
	return []option{
		{name: "audit-db", group: auditing, arg: "FILE", def: "httpipe.db",
			help: "SQLite file of the audit log, made if it is missing",
			set:  into(&c.auditDB, anyText)},
		{name: "audit", group: auditing, arg: "MODE", def: string(auditRequired),
			help: "strict, required, best-effort or off (see the README)",
			set:  into(&c.audit, oneOf(auditStrict, auditRequired, auditBestEffort, auditOff))},
		{name: "audit-retention", group: auditing, arg: "TIME", def: "off",
			help: "age at which rows are removed, such as 90d; 0 is never",
			set:  into(&c.auditRetention, orOff(parseAge))},

		{name: "log-format", group: logging, arg: "FORMAT", def: "text",
			help: "text or json",
			set:  into(&c.logFormat, oneOf("text", "json"))},
		{name: "log-level", group: logging, arg: "LEVEL", def: "info",
			help: "least that is logged: debug, info, warn or error",
			set:  into(&c.logLevel, parseLevel)},
		{name: "config", group: logging, arg: "FILE",
			help: `file of more options, one "name value" on a line`,
			set:  into(&c.configFile, parseFileName)},
	}
}
