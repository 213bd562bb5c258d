package reply

import (
	"mime"
	"slices"
	"strconv"
	"strings"
)

// The headers that are httpipe's own. HeaderExchange is on each response that belongs to an exchange, HeaderError
// on each error.
const (
	HeaderExchange  = "Httpipe-Exchange"
	HeaderError     = "Httpipe-Error"
	HeaderProducers = "Httpipe-Producers"
	HeaderConsumers = "Httpipe-Consumers"
)

// Negotiate returns the first of the offered media types that the fields of an Accept header name, or "" if they
// name none. A wildcard does not count, because every curl sends one.
func Negotiate(accept []string, offered ...string) string {
	for _, field := range accept {
		for item := range strings.SplitSeq(field, ",") {
			kind, params, err := mime.ParseMediaType(item)
			if err != nil || !slices.Contains(offered, kind) {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return kind
			}
		}
	}
	return ""
}

// WantsJSON reports whether the fields of an Accept header ask for JSON.
func WantsJSON(accept []string) bool {
	return Negotiate(accept, "application/json", problemType) != ""
}
