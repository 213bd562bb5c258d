package cli

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"httpipe/access"
	"httpipe/process"
)

// A Config has a field for each option of the relay, which options describes and parse fills in.
type Config struct {
	Host         string // empty: every interface
	Port         int    // 0: any free port
	RequireHTTPS bool
	DropTo       process.Account
	CORSOrigins  []string // in lower case; "*" is any
	MetricsAddr  string   // with its port; empty: off

	TLSCert, TLSKey string // files; empty: none
	TLSDomain       string // empty: no ACME
	ACMEURL         string
	ACMEAddr        string // with its port; empty: off

	Nodes string // file with the table of all nodes; empty: a single server
	Node  string // the name of this server in that table

	RequestTimeout time.Duration // 0: no limit
	ReadAhead      int64
	MaxBody        int64         // 0: no limit
	StallTimeout   time.Duration // 0: off
	SilenceTimeout time.Duration // 0: off
	ReplyTimeout   time.Duration // 0: no limit
	DrainTimeout   time.Duration

	MaxMessage       int64         // 0: no limit
	MaxMessageMemory int64         // 0: no limit
	MessageTimeout   time.Duration // 0: off

	AuthSecret access.Secrets // none: no token is needed
	Anonymous  []access.Grant // empty: everything needs a token

	MaxWaiting           int // 0: see process.WaitingLimit
	MaxWaitingPerChannel int // 0: no limit
	MaxWaitingPerClient  int // 0: no limit
	RatePerClient        int // requests a minute; 0: no limit
	ClientIPHeader       string
	MaxHeader            int64
	HeaderTimeout        time.Duration

	AuditDB        string // empty only if audit is AuditOff
	Audit          AuditMode
	AuditRetention time.Duration // 0: rows are never removed

	LogFormat  string // "text" or "json"
	LogLevel   slog.Level
	ConfigFile string // empty: none was read
}

// TLS reports whether the server uses TLS on its port.
func (c *Config) TLS() bool { return c.TLSCert != "" || c.TLSKey != "" || c.TLSDomain != "" }

// An AuditMode says what the relay does about exchanges that it cannot record.
type AuditMode string

const (
	AuditStrict     AuditMode = "strict"      // relay no byte before the match is on disk
	AuditRequired   AuditMode = "required"    // answer no 200 before the record is on disk
	AuditBestEffort AuditMode = "best-effort" // relay anyway, and count unrecorded exchanges
	AuditOff        AuditMode = "off"         // keep no log
	AuditReadOnly   AuditMode = "read-only"   // relay nothing, and show a log that another server or a merge has written
)

// parse fills in c from the command's options: from the flags, the environment, the config file and the defaults, in
// this order of precedence. args is what ffcli has left of the typed words, and s has the flags before it. Of each
// option, parse parses only the text with the highest precedence, so an invalid text that another overrides is not an
// error. It returns the arguments. The error is one line; for -h and --help it is flag.ErrHelp.
func parse(c *Config, cmd command, s *sources, typed, args []string) ([]string, error) {
	args, err := s.read(typed, args)
	if err != nil {
		return nil, err
	}
	if err := cmd.checkArgs(args); err != nil {
		return nil, err
	}
	given := s.given
	for _, o := range slices.Concat(cmd.options, cmd.flags) {
		s := given[o.name]
		if s.source == "" {
			if o.def == "" {
				continue // the default is the field's zero value
			}
			s.text, s.source = o.def, "default"
		}
		if o.guarded && strings.TrimSpace(s.text) == "" {
			return nil, empty(o.name, s)
		}
		if err := o.set(s.text); err != nil {
			return nil, invalid(o.name, s, err)
		}
	}
	if err := c.checkTogether(cmd, given); err != nil {
		return nil, err
	}
	return args, nil
}

// empty is the error for a guarded option that is set but has no value.
func empty(name string, s *setting) error {
	return s.blame(fmt.Errorf("--%s (%s) is set but empty: probably a variable that is not set (such as $SECRET) or a command that failed (such as $(cat FILE)); give it a value, or remove it", name, s.source))
}

// invalid is the error for an option whose text cannot be used.
func invalid(name string, s *setting, err error) error {
	text := fmt.Sprintf(" %q", s.text)
	if s.secret {
		text = ""
	}
	return s.blame(fmt.Errorf("invalid value%s for --%s (%s): %w", text, name, s.source, err))
}
