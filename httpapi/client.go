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

// clientAddr is the address of the client: what the trusted header says, if there is one, or else the
// other end of the connection. Of a list the last entry counts: that is what our own proxy saw, and all
// before it is what somebody has told it.
func (s *Server) clientAddr(r *http.Request) string {
	if name := s.config.ClientIPHeader; name != "" {
		if addr, err := netip.ParseAddr(lastOf(r.Header.Values(name))); err == nil {
			return addr.Unmap().WithZone("").String()
		}
	}
	if c := connOf(r); c != nil {
		return c.client
	}
	return addressOf(r.RemoteAddr)
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
