package relay

import (
	"mime"
	"slices"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// disposition returns the Content-Disposition with which the consumer that sent r gets a message: the
// producer's, unless a browser must save the message instead of showing it.
func disposition(r *Request, head *pipe.Head) string {
	var kind string
	var err error
	if head.ContentDisposition != "" {
		kind, _, err = mime.ParseMediaType(head.ContentDisposition)
	}
	switch {
	case r.TokenInURL && (err != nil || kind != "attachment"):
		return "attachment" // a page can give away its own address, and here a token is in it
	case kind == "" && navigates(r) && needsPlayer(head.ContentType):
		return "attachment"
	}
	return head.ContentDisposition
}

// navigates reports whether a browser means to show what it gets, in a window or a frame. Browsers say so in
// Sec-Fetch-Dest over TLS and on the same machine only, so elsewhere what they accept has to tell.
func navigates(r *Request) bool {
	if dest := r.Header["Sec-Fetch-Dest"]; len(dest) > 0 {
		return says(r.Header, "Sec-Fetch-Dest", "document", "iframe", "frame", "fencedframe", "embed", "object")
	}
	return reply.WantsHTML(r.Header["Accept"])
}

// playedTypes are the types, but for audio/* and video/*, that browsers hand to their player.
var playedTypes = []string{"application/ogg", "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/mpegurl"}

// needsPlayer reports whether a browser that shows a message of this type asks for it twice: the navigation
// gets it, then the player sends a GET of its own, which would take the next message.
func needsPlayer(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/") || slices.Contains(playedTypes, kind)
}
