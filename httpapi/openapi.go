package httpapi

import (
	_ "embed"
	"net/http"

	"httpipe/pipe"
	"httpipe/reply"
)

// openAPI describes all routes; a test compares the two.
//
//go:embed openapi.json
var openAPI string

func (s *Server) showOpenAPI(w http.ResponseWriter, _ *http.Request, _ pipe.Key) {
	reply.Text(http.StatusOK, "application/json", openAPI).Write(w)
}
