package kit

import (
	"net/http"
	"strings"
	"testing"
)

// AuditKey returns the key that opens /audit, as the command prints it.
func (p *Server) AuditKey(t *testing.T) string {
	t.Helper()
	code, output := Run(t, p.Dir, "audit", "key")
	if code != 0 {
		t.Fatal(output)
	}
	return strings.TrimSuffix(output, "\n")
}

// Status returns the status of the answer to a GET.
func Status(t *testing.T, url, credential string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
