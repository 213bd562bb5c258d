package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"httpipe/process"
)

// checkTogether returns an error of one line if the value that an option was given can have no effect beside
// the others. A default is never an error, and neither is --audit-db with --audit=off: the container image sets it.
func (c *Config) checkTogether(given map[string]*setting) error {
	explicit := func(name string) (*setting, bool) {
		s := given[name] // nil if the command does not take the option
		return s, s != nil && s.source != "default"
	}
	if s := given["audit-db"]; s != nil && c.AuditDB == "" && c.Audit != AuditOff {
		return invalid("audit-db", s, errors.New("must not be empty"))
	}
	if s, ok := explicit("audit-retention"); ok && c.AuditRetention > 0 && (c.Audit == AuditOff || c.Audit == AuditReadOnly) {
		return invalid("audit-retention", s, fmt.Errorf("no rows are removed while --audit is %s", c.Audit))
	}
	if s, ok := explicit("metrics-addr"); ok && c.metricsAtPort() {
		return invalid("metrics-addr", s, fmt.Errorf("the relay itself listens there; choose another port than --port %d", c.Port))
	}
	total, auto := c.MaxWaiting, ""
	if total == 0 {
		total, auto = process.MaxAutoWaiting, "auto: up to "
	}
	for name, limit := range map[string]int{"max-waiting-per-channel": c.MaxWaitingPerChannel, "max-waiting-per-client": c.MaxWaitingPerClient} {
		if s, ok := explicit(name); ok && limit > total {
			return invalid(name, s, fmt.Errorf("it is never reached, because --max-waiting (%s%d) is less; 0 is no limit", auto, total))
		}
	}
	return nil
}

// metricsAtPort reports whether the metrics would be on the address of the relay.
func (c *Config) metricsAtPort() bool {
	host, port, err := net.SplitHostPort(c.MetricsAddr)
	if n, failed := strconv.Atoi(port); err != nil || failed != nil || n == 0 || n != c.Port {
		return false
	}
	all := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return host == c.Host || all(host) || all(c.Host)
}
