package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"httpipe/reply"
	"httpipe/web"
)

// showHome answers a browser with the page, and any other client with the manual.
func showHome(w http.ResponseWriter, r *request) {
	w.Header().Add("Vary", "Accept")
	if reply.WantsHTML(r.Header.Joined("Accept")) {
		writePage(w, web.Page())
		return
	}
	writeStatic(w, "text/plain; charset=utf-8", web.Manual(ownURL(r)))
}

// showAuditPage answers with the operator's page. It needs no permission, because it contains no data: its scripts call the
// API with the token that the operator enters.
func showAuditPage(w http.ResponseWriter, _ *request) { writePage(w, web.AuditPage()) }

// showNotFound answers a browser that asked for a page that does not exist.
func showNotFound(w http.ResponseWriter, r *request, e *reply.Error) {
	r.ErrorCode = e.Code
	w.Header().Set(reply.HeaderError, e.Code)
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Security-Policy", web.Policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	reply.Text(e.Status, "text/html; charset=utf-8", web.NotFoundPage()).Write(w)
}

// showAsset answers with a file that the pages load, or with a QR code.
func showAsset(w http.ResponseWriter, r *request) {
	if r.parameter == "qr.svg" {
		showQR(w, r)
		return
	}
	contentType, content, ok := web.Asset(r.parameter)
	if !ok {
		r.Refuse(w, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "the pages have no such file"})
		return
	}
	writeStatic(w, contentType, content)
}

// showQR answers with a QR code of the parameter text, or with 404 if that is missing or too long.
func showQR(w http.ResponseWriter, r *request) {
	query, err := url.ParseQuery(r.Query)
	if err == nil {
		var code string
		if code, err = web.QR(query.Get("text")); err == nil {
			writeStatic(w, "image/svg+xml", code)
			return
		}
	}
	r.Refuse(w, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: fmt.Sprintf("want a text of 1 to %d bytes, as /assets/qr.svg?text=…", web.MaxQR)})
}

func showOpenAPI(w http.ResponseWriter, _ *request) {
	reply.Text(http.StatusOK, "application/json", web.OpenAPI()).Write(w)
}

func writePage(w http.ResponseWriter, page string) {
	w.Header().Set("Content-Security-Policy", web.Policy)
	writeStatic(w, "text/html; charset=utf-8", page)
}

func writeStatic(w http.ResponseWriter, contentType, body string) {
	w.Header().Set("Referrer-Policy", "no-referrer") // the URL may hold a token
	reply.Text(http.StatusOK, contentType, body).Write(w)
}

// plainHost is a host, with or without a port, that needs no quotes in any shell. A Host header may contain other
// characters.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// ownURL returns the URL, without a path, at which the client has reached this server. A client that sends a wrong Host
// gets examples that do not work for it, and affects no other client.
func ownURL(r *request) string {
	scheme := "http"
	if r.Conn.Secure() || strings.EqualFold(lastOf(r.Header.Joined("X-Forwarded-Proto")), "https") {
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
