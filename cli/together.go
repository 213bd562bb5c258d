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
func (c *Config) checkTogether(cmd command, given map[string]*setting) error {
	if s := given["audit-db"]; s != nil && c.AuditDB == "" && c.Audit != AuditOff {
		return invalid("audit-db", s, errors.New("must not be empty"))
	}
	if cmd.name != serveName { // other commands take some of these options without the others
		return nil
	}
	for _, rule := range c.rules() {
		if s := given[rule.option]; rule.broken && s.source != "default" {
			return invalid(rule.option, s, errors.New(rule.why))
		}
	}
	return nil
}

// A rule says when the value of an option has no effect, and why.
type rule struct {
	option string
	broken bool
	why    string
}

func (c *Config) rules() []rule {
	most, auto := c.MaxWaiting, ""
	if most == 0 {
		most, auto = process.MaxAutoWaiting, "auto: up to "
	}
	neverReached := fmt.Sprintf("it is never reached, because --max-waiting (%s%d) is less; 0 is no limit", auto, most)
	return []rule{
		{"audit-retention", c.AuditRetention > 0 && (c.Audit == AuditOff || c.Audit == AuditReadOnly), "no rows are removed while --audit is " + string(c.Audit)},
		{"metrics-addr", c.metricsAtPort(), fmt.Sprintf("the relay itself listens there; choose another port than --port %d", c.Port)},
		{"max-waiting-per-channel", c.MaxWaitingPerChannel > most, neverReached},
		{"max-waiting-per-client", c.MaxWaitingPerClient > most, neverReached},
		{"anonymous", len(c.Anonymous) > 0 && c.AuthSecret.None(), "it has no effect without --auth-secret: without a secret every client may produce, consume, look and delete"},
		{"tls-domain", c.TLSDomain != "" && (c.TLSCert != "" || c.TLSKey != ""), "it gets a certificate by itself; remove it, or remove --tls-cert and --tls-key"},
		{"tls-cert", c.TLSCert != "" && c.TLSKey == "", "it needs --tls-key, the key of the certificate"},
		{"tls-key", c.TLSKey != "" && c.TLSCert == "", "it needs --tls-cert, the certificate of the key"},
		{"nodes", c.Nodes != "" && c.Node == "", "it needs --node, the name of this node in the table"},
		{"node", c.Node != "" && c.Nodes == "", "it needs --nodes, the table of all nodes"},
	}
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
