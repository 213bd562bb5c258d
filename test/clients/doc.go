// Package clients runs HTTP clients that people use against the relay: each consumes and produces, with and without a
// length, is refused early, and must notice a body that is cut.
package clients
