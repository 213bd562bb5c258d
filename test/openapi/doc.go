// Package openapi generates clients in Python, Go and TypeScript from the OpenAPI document of a running server, and
// uses them with it.
package openapi
