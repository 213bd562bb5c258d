package relay

import (
	"mime"
	"slices"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// disposition returns the Content-Disposition of a response with a message: the producer's, unless a browser must save the
// message instead of showing it. navigates is what the function of that name returns.
func disposition(head *pipe.Head, tokenInURL, navigates bool) string {
	given := head.Rare().ContentDisposition
	var kind string
	var err error
	if given != "" {
		kind, _, err = mime.ParseMediaType(given)
	}
	switch {
	case tokenInURL && (err != nil || kind != "attachment"):
		return "attachment" // a page can read its own URL, which has the token
	case kind == "" && navigates && needsPlayer(head.ContentType):
		return "attachment"
	}
	return given
}

// navigates reports whether a browser is going to show the response in a window or a frame. Browsers send Sec-Fetch-Dest
// only over TLS and to the same machine; otherwise Accept decides. Both are headers of the request.
func navigates(fetchDest, accept string) bool {
	if fetchDest != "" {
		return listHas(fetchDest, "document") || listHas(fetchDest, frames...)
	}
	return accept != "" && reply.WantsHTML(accept)
}

// playedTypes are the media types, besides audio/* and video/*, that browsers pass to their player.
var playedTypes = []string{"application/ogg", "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/mpegurl"}

// needsPlayer reports whether a browser that shows a message of this type requests it twice: the navigation gets the
// message, then the player sends a GET of its own, which would consume the next message.
func needsPlayer(contentType string) bool {
	if contentType == octetStream {
		return false
	}
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/") || slices.Contains(playedTypes, kind)
}
