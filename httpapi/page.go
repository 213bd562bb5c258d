package httpapi

import (
	"embed"
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
	"text/template"

	"httpipe/pipe"
	"httpipe/reply"
)

// What the server shows of itself: to a browser a page that does what curl does, to anybody else a manual.
// Everything that a page needs is in here, below assets/.

//go:embed page
var pages embed.FS

var manual = template.Must(template.ParseFS(pages, "page/manual.txt"))

// pagePolicy lets a page have what is at its own origin, run scripts from there alone, and make no markup
// of text: whatever else got into it would be without effect.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// assetTypes are the types of what is below assets/. The system's own table may say otherwise, or nothing.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// home tells how this server is used.
func (s *Server) home(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	w.Header().Add("Vary", "Accept")
	if reply.WantsHTML(r.Header["Accept"]) {
		writePage(w, "page/index.html")
		return
	}
	var text strings.Builder
	if err := manual.Execute(&text, ownURL(r)); err != nil {
		panic(err) // it takes any string
	}
	writeStatic(w, "text/plain; charset=utf-8", text.String())
}

// auditPage is for the operator: who waits, what runs, and what happened. There is nothing of that in it: its scripts
// ask for it, with the token that they are given.
func (s *Server) auditPage(w http.ResponseWriter, _ *http.Request, _ pipe.Key) {
	writePage(w, "page/audit.html")
}

// asset serves what pages are made of.
func (s *Server) asset(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	name := strings.TrimSuffix(strings.TrimPrefix(rawPath(r), assets), "/")
	file, err := pages.ReadFile("page/assets/" + name)
	if err != nil {
		refuse(w, r, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "there is no such part of a page"})
		return
	}
	writeStatic(w, assetTypes[path.Ext(name)], string(file))
}

// writePage answers with an embedded page.
func writePage(w http.ResponseWriter, name string) {
	page, err := pages.ReadFile(name)
	if err != nil {
		panic(err) // it is in the binary
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	writeStatic(w, "text/html; charset=utf-8", string(page))
}

// writeStatic answers with what is the same for everybody.
func writeStatic(w http.ResponseWriter, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // a token may be in the address
	reply.Response{Status: http.StatusOK, Body: body}.Write(w)
}

// plainHost is a host, with or without a port, that needs no quotes in any shell. The Host header may hold
// a good deal more.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// ownURL returns the URL at which the client has reached this server, without a path. A client that lies
// about it gets examples that are of no use to it, and nobody else does.
func ownURL(r *http.Request) string {
	scheme := "http"
	if strings.EqualFold(lastOf(r.Header.Values("X-Forwarded-Proto")), "https") {
		scheme = "https"
	}
	host := r.Host
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && !plainHost.MatchString(host) {
		host = local.String()
	}
	if !plainHost.MatchString(host) {
		host = "localhost"
	}
	return scheme + "://" + host
}
