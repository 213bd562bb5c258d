package relay

import (
	"regexp"
	"slices"
	"strings"

	"httpipe/relay/http1"
)

// A GET consumes a message. Clients send GETs for many other reasons, and such a GET would lose the message or misuse it.
// The headers distinguish them.

// The advice of notAConsumer, one line for each kind of client.
const (
	adviseServiceWorker = "the browser asks for a service worker's script, which a message is not; register the script at another address"
	advisePrefetch      = "the client only prefetches or previews this address, and would lose the message; open the address itself to receive"
	adviseUpgrade       = "the client asks for another protocol, such as WebSocket, which channels do not support; send a plain GET"
	adviseEmbedded      = "a page of another site embeds this address as an image, a script, a frame or the like; link to it, or use fetch with CORS"
	adviseRange         = "the client asks for a part (Range), or resumes a transfer, but the next message is never the rest of the last one; " +
		"remove the partial file and send the GET without Range (no curl -C, no wget -c)"
)

// notAConsumer returns "" for the GET of a consumer. For any other it returns one line that says what the
// client is taken for, and what to do instead.
func notAConsumer(h *http1.Header) string {
	switch {
	case hasToken(h, "Service-Worker", "script"):
		return adviseServiceWorker
	case hasToken(h, "Sec-Purpose", "prefetch", "preview"), hasToken(h, "Purpose", "prefetch", "preview"),
		hasToken(h, "X-Purpose", "prefetch", "preview"), hasToken(h, "X-Moz", "prefetch", "preview"):
		return advisePrefetch
	case wantsUpgrade(h):
		return adviseUpgrade
	case embedded(h):
		return adviseEmbedded
	case !fromFirstByte(h):
		return adviseRange
	}
	return ""
}

// embedded reports whether a page of another origin embeds the address. A page of the same site, such as another port of
// localhost, may show it in a frame.
func embedded(h *http1.Header) bool {
	unread := hasToken(h, "Sec-Fetch-Mode", "no-cors") // the page cannot read what it loads
	return hasToken(h, "Sec-Fetch-Site", "cross-site") && (unread || hasToken(h, "Sec-Fetch-Dest", frames...)) ||
		hasToken(h, "Sec-Fetch-Site", "same-site") && unread
}

// frames are the values of Sec-Fetch-Dest for what a page shows in a part of its window.
var frames = []string{"iframe", "frame", "fencedframe", "embed", "object"}

// hasToken reports whether a header contains one of the tokens, in any of its fields and lists. It ignores case and
// parameters.
func hasToken(h *http1.Header, name string, tokens ...string) bool {
	return listHas(h.Joined(name), tokens...)
}

// listHas reports whether a list contains one of the tokens.
func listHas(list string, tokens ...string) bool {
	if list == "" {
		return false
	}
	for item := range strings.FieldsFuncSeq(strings.ToLower(list), func(r rune) bool { return strings.ContainsRune(",; \t", r) }) {
		if slices.Contains(tokens, item) {
			return true
		}
	}
	return false
}

// wantsUpgrade reports whether the client wants to switch to a protocol other than HTTP. An offer to switch to HTTP/2 or
// TLS, which some clients make with every request, does not count. Proxies remove Upgrade, but not the other headers of a
// WebSocket handshake.
func wantsUpgrade(h *http1.Header) bool {
	if _, ok := h.Lookup("Sec-WebSocket-Key"); ok {
		return true
	}
	for field := range h.Values("Upgrade") {
		for protocol := range strings.SplitSeq(field, ",") {
			protocol, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(protocol)), "/")
			switch protocol {
			case "", "h2c", "http", "tls":
			default:
				return true
			}
		}
	}
	return false
}

// wholeOrBeginning is one range of bytes that begins at the first byte.
var wholeOrBeginning = regexp.MustCompile(`(?i)^bytes=[ \t,]*0+-[0-9]*[ \t,]*$`)

// fromFirstByte reports whether Range, if it is set, asks for the body from its first byte on. Such a client gets the whole
// body. Any other client already has some bytes, and would append a part of this message to them. A Range that cannot be
// parsed counts as such, although a server may ignore it (RFC 9110 14.2). If-Range changes nothing: no response has a
// validator.
func fromFirstByte(h *http1.Header) bool {
	field := strings.TrimSpace(h.Joined("Range"))
	return field == "" || wholeOrBeginning.MatchString(field)
}
