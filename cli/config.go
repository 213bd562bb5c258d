package cli

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// config is everything a run of the program can be told. There is one field per
// option; options describes each, and parse fills it in.
type Config struct {
	Host           string // empty: every interface
	Port           int    // 0: any free port
	RequireHTTPS   bool
	DropTo         process.Account
	CORSOrigin     string        // comma-separated, without spaces
	MetricsAddr    string        // with its port; empty: off
	RequestTimeout time.Duration // 0: no limit
	ReadAhead      int64
	MaxBody        int64         // 0: no limit
	StallTimeout   time.Duration // 0: off
	SilenceTimeout time.Duration // 0: off
	DrainTimeout   time.Duration

	AuthSecret string // as access.ParseSecrets takes it; empty: everybody may do everything
	Anonymous  string // as access.ParseGrants takes it; empty: nobody may do anything without a token

	MaxWaiting           int // 0: as many as the process may have files for; see waitingLimit
	MaxWaitingPerChannel int // 0: no limit
	MaxWaitingPerClient  int // 0: no limit
	RatePerClient        int // requests a minute; 0: no limit
	ClientIPHeader       string
	MaxHeader            int64
	HeaderTimeout        time.Duration

	AuditDB        string // empty only if audit is AuditOff
	Audit          AuditMode
	AuditRetention time.Duration // 0: rows are kept for ever

	LogFormat  string // "text" or "json"
	LogLevel   slog.Level
	ConfigFile string // empty: none was read
}

// AuditMode says how much the relay insists on its audit log.
type AuditMode string

const (
	AuditStrict     AuditMode = "strict"      // no byte passes before its match is on disk
	AuditRequired   AuditMode = "required"    // no 200 before the record is on disk
	AuditBestEffort AuditMode = "best-effort" // relay anyway, count what went unrecorded
	AuditOff        AuditMode = "off"         // no log at all
)

// parse gathers the command's options from the command line, the environment, the
// config file and the defaults, in this order of precedence, which fills in c, and
// returns the arguments. Only the text that wins is parsed, so garbage that
// something overrides does not stop the start. The error is one line; for -h and
// --help it wraps flag.ErrHelp.
func parse(c *Config, cmd command, args []string) ([]string, error) {
	given, args, err := readSources(cmd, args)
	if err != nil {
		return nil, err
	}
	if err := cmd.checkArgs(args); err != nil {
		return nil, err
	}
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
	if err := c.checkTogether(given); err != nil {
		return nil, err
	}
	return args, nil
}

// empty is the error for a guarded option that is set but has no value.
func empty(name string, s *setting) error {
	return fmt.Errorf("--%s (%s) is set but empty: probably a variable that is not set (such as $SECRET) or a command that failed (such as $(cat FILE)); give it a value, or remove it", name, s.source)
}

// invalid is the error for an option whose text cannot be used.
func invalid(name string, s *setting, err error) error {
	if s.secret {
		return fmt.Errorf("invalid value for --%s (%s): %w", name, s.source, err)
	}
	return fmt.Errorf("invalid value %q for --%s (%s): %w", s.text, name, s.source, err)
}
