package httpapi

import (
	"net/http"
	"net/netip"
	"strings"

	"httpipe/pipe"
)

// requestIDHeaders are where platforms put the id under which they know a request, the first one first.
var requestIDHeaders = []string{"Fly-Request-Id", "X-Request-Id"}

// client returns who sent r, as the books know it.
func (s *Server) client(r *http.Request) pipe.Client {
	c := pipe.Client{Addr: s.clientAddr(r), Agent: r.UserAgent(), Subject: subject(r)}
	for _, name := range requestIDHeaders {
		if c.RequestID = r.Header.Get(name); c.RequestID != "" {
			break
		}
	}
	return c
}

// clientAddr is the address of the client: the one in the trusted header, if there is one, or else the
// other end of the connection. Of a list the last entry counts: our own proxy has added it, and a client can have
// sent all entries before it. A header that holds no address is logged once: without a word each client
// would count as the proxy.
func (s *Server) clientAddr(r *http.Request) string {
	name := s.config.ClientIPHeader
	if values := r.Header.Values(name); len(values) > 0 {
		text := lastOf(values)
		if addr, ok := parseClient(text); ok {
			return addr
		}
		s.noAddress.Do(func() {
			s.config.Logger.Warn("--client-ip-header names a header that holds no IP address; the address of the connection counts instead (logged once)",
				"header", name, "value", text[:min(len(text), 100)], "connection", r.RemoteAddr)
		})
	}
	if c := connOf(r); c != nil {
		return c.client
	}
	return addressOf(r.RemoteAddr)
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

// addressOf returns the address of an end of a connection, without its port.
func addressOf(end string) string {
	if connection, err := netip.ParseAddrPort(end); err == nil {
		return connection.Addr().Unmap().WithZone("").String()
	}
	return end
}

// lastOf returns the last entry of a header that may be a list, "" if there is none.
func lastOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])
}

// group is what counts as one client: an address, but of IPv6 the network that one household or one
// machine is given.
func group(addr string) string {
	if ip, err := netip.ParseAddr(addr); err == nil && ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr
}
