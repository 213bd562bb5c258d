package httpapi

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"httpipe/pipe"
	"httpipe/relay"
)

// requestIDHeaders are the headers in which platforms send their id of a request. The first one that is set counts.
var requestIDHeaders = []string{"Fly-Request-Id", "X-Request-Id"}

// clients finds out which client sent a request.
type clients struct {
	header string // that a trusted proxy sets to the client's address; "": none
	logger *slog.Logger
	warned sync.Once // that the header holds no address
}

// of returns the client that sent r, as the audit log shows it.
func (c *clients) of(r *request) pipe.Client {
	id := ""
	for _, name := range requestIDHeaders {
		if id = r.Header.Get(name); id != "" {
			break
		}
	}
	return pipe.Client{Addr: c.addr(r), Agent: r.Header.Get("User-Agent")}.Identified(id, r.credentials.subject())
}

// addr returns the address of the client: the one in the trusted header, if it is set, or else that of the connection.
// Of a list the last entry counts: our own proxy has added it, and a client can have sent all entries before it. A
// header that holds no address is logged once: otherwise all clients would count as the proxy, and nothing would say
// so.
func (c *clients) addr(r *request) string {
	if _, ok := r.Header.Lookup(c.header); ok {
		text := lastOf(r.Header.Joined(c.header))
		if addr, ok := parseClient(text); ok {
			return addr
		}
		c.warned.Do(func() {
			c.logger.Warn("--client-ip-header names a header that holds no IP address; the address of the connection counts instead (logged once)",
				"header", c.header, "value", text[:min(len(text), 100)], "connection", r.RemoteAddr)
		})
	}
	if r.Conn != nil {
		return r.Conn.Addr
	}
	return relay.AddrOf(r.RemoteAddr)
}

// parseClient reads an address that may have a port and, if it is of IPv6, brackets.
func parseClient(text string) (addr string, ok bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		var end netip.AddrPort
		if strings.HasSuffix(text, "]") {
			text += ":0"
		}
		end, err = netip.ParseAddrPort(text)
		ip = end.Addr()
	}
	return ip.Unmap().WithZone("").String(), err == nil
}

// lastOf returns the last entry of a header that may be a list, "" if there is none.
func lastOf(list string) string {
	return strings.TrimSpace(list[strings.LastIndex(list, ",")+1:])
}

// group returns what counts as one client for limits: an address, or of IPv6 the network that a provider gives to one
// household or machine.
func group(addr string) string {
	if strings.IndexByte(addr, ':') < 0 {
		return addr
	}
	if ip, err := netip.ParseAddr(addr); err == nil && ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr
}
