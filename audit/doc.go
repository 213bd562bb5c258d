// Package audit connects the relay with its audit log, in both directions: it turns the events of package pipe
// into rows of package store, and questions about these rows into answers. It knows no HTTP, so the server and
// the command line share it, and an export has one form wherever it comes from.
//
// # Events to rows
//
//	pipe.Broker ──▶ Recorder ──▶ store.Log
//	                   ▲  └─▶ refusals: a summary row per client and minute
//	                   │
//	      RecordRefusal: requests that are refused before they reach the broker
//
// A [Recorder] translates events and decides nothing: lives, exchanges, calls, unmatched requests and, in topics.go,
// publications and subscriptions. The row of an exchange or a publication carries two outcomes, that of the broker and
// that for a failed commit, and the store writes the right one. A client that is refused many times a minute gets a few
// rows of its own, then one row with a count (refusals.go).
//
// # Questions to answers
//
//	parameters ──▶ ParseQuery ──▶ Query ──▶ store.History ──▶ Rows, PageJSON, SummaryText
//
// [ParseQuery] and [ParseFilter] read the parameters that the API and the flags of the command line share
// (query.go). Rows are written as JSON, as NDJSON or as CSV (rows.go), and a summary in the same formats
// (summary.go).
package audit
