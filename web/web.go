// Package web holds the files that the server serves about itself: a page that sends and receives on channels and topics
// in a browser, a page for the operator, a manual in plain text for curl, and the OpenAPI description. It also draws the
// QR codes of the first page (qr.go). Package httpapi serves all of these.
//
// The pages are static. Their scripts call the API as any other client does, with the token that the user enters, and
// everything that they load is in assets/. Both pages share base.css and the scripts that both import. The first page
// has page.css and ends.css, page.js and the scripts that only page.js imports; the operator's page has audit*.css and
// audit*.js.
package web

import (
	"embed"
	"path"
	"strings"
	"text/template"
)

//go:embed index.html audit.html 404.html manual.txt openapi.json assets
var files embed.FS

// Policy is the Content-Security-Policy of the pages. They may load what is at their own origin and run scripts from there
// alone, and cannot turn text into markup, so that injected content has no effect.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// assetTypes are the media types of assets by their names' extension. The table of the operating system may differ.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

var manual = template.Must(template.ParseFS(files, "manual.txt"))

// Page returns the page that sends and receives, in HTML.
func Page() string { return read("index.html") }

// AuditPage returns the operator's page, in HTML. It contains no data.
func AuditPage() string { return read("audit.html") }

// NotFoundPage returns the page that says that there is none at this address, in HTML.
func NotFoundPage() string { return read("404.html") }

// OpenAPI returns the description of the API, in JSON.
func OpenAPI() string { return read("openapi.json") }

// Manual returns the manual in plain text, with examples for a server at that URL, which has no path.
func Manual(url string) string {
	var text strings.Builder
	if err := manual.Execute(&text, url); err != nil {
		panic(err) // the template takes any string
	}
	return text.String()
}

// Asset returns a file below assets/ and its media type. It returns false if there is no such file.
func Asset(name string) (contentType, content string, ok bool) {
	file, err := files.ReadFile("assets/" + name)
	if err != nil {
		return "", "", false
	}
	return assetTypes[path.Ext(name)], string(file), true
}

func read(name string) string {
	file, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is in the binary
	}
	return string(file)
}
