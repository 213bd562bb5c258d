package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"httpipe/web"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// TestOpenAPIIsValid: the document is OpenAPI 3.0, which generators of clients understand best.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	document, err := libopenapi.NewDocument([]byte(web.OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if valid, errs := v.ValidateDocument(); !valid {
		for _, err := range errs {
			t.Error(err.Message, err.Reason, err.SchemaValidationErrors)
		}
	}
}

// TestOpenAPIHasAllRoutes: the document has the server's routes, and no others. It leaves out what would double an
// operation of a generated client: a HEAD that answers as GET does, and the DELETE of the namespace called namespaces,
// which is one of deleteNamespace. It leaves out calls, whose requests and responses are those of the program behind a service.
func TestOpenAPIHasAllRoutes(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	var document struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct {
			Schemas map[string]struct{ Required []string }
		}
	}
	body := r.dial().Get("/openapi.json").Answer().Is(200).Text
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, methods := range document.Paths {
		for method := range methods {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for _, route := range r.Server.routes() {
		path := strings.ReplaceAll(route.pattern, "...", "")
		for method := range route.methods {
			twin := method == "HEAD" && path != "/channels/{namespace}/{channel}" && path != "/topics/{namespace}/{topic}" && path != "/work/{namespace}/{service}" || method == "DELETE" && path == "/channels/namespaces"
			if !described[method+" "+path] && !twin {
				t.Errorf("%s %s is not described", method, path)
			}
			delete(described, method+" "+path)
		}
	}
	if len(described) > 0 {
		t.Errorf("described, and not there: %q", slices.Sorted(maps.Keys(described)))
	}
	for view, schema := range map[string]string{"exchanges": "Exchange", "requests": "Request", "channels": "Life",
		"calls": "Call", "publications": "Publication", "subscriptions": "Subscription"} {
		columns := r.rows(len(document.Components.Schemas[schema].Required), "SELECT name FROM pragma_table_info('"+view+"')")
		if required := document.Components.Schemas[schema].Required; !slices.Equal(columns, required) {
			t.Errorf("%s is %q, and the view has %q", schema, required, columns)
		}
	}
}
