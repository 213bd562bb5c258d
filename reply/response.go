package reply

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// A Response is a whole response as data.
type Response struct {
	Status int
	Header []Field // without Content-Length, which follows from Body
	Body   string

	// NoLength leaves Content-Length out, for a client that resumes a download: if a response, even an error, is as long
	// as the part of the file that curl -C - has, curl concludes that it has the whole file.
	NoLength bool
}

// A Field is one header field.
type Field struct{ Name, Value string }

// Text returns a response with a body of that media type.
func Text(status int, contentType, body string) Response {
	return Response{Status: status, Header: []Field{{"Content-Type", contentType}, {"X-Content-Type-Options", "nosniff"}}, Body: body}
}

// JSON returns a response with v as JSON, which must be of strings and numbers.
func JSON(status int, v any) Response { return encode("application/json", status, v) }

func encode(contentType string, status int, v any) Response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, slices and structs of strings and numbers always marshal
	}
	return Text(status, contentType, string(body)+"\n")
}

func (r *Response) add(name, value string) { r.Header = append(r.Header, Field{name, value}) }

// Write sends r. It ignores errors: a client that has hung up misses nothing.
func (r Response) Write(w http.ResponseWriter) {
	h := w.Header()
	for _, f := range r.Header {
		h.Set(f.Name, f.Value)
	}
	if !r.NoLength {
		h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	w.WriteHeader(r.Status)
	if r.NoLength {
		http.NewResponseController(w).Flush() // before net/http knows the length
	}
	io.WriteString(w, r.Body)
}
