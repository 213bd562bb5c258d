// Package reply chooses the response for each outcome, and holds it as data: the status, the code, the headers and the body
// of a response. So the relay path and the rest of the server give the same answers, whatever writes them to the
// connection.
//
// # From an outcome to a response
//
//	pipe.Outcome ──▶ Error ──▶ Response ──▶ Response.Write
//	             ForOutcome    Error.Response: text or JSON,
//	             ForRequest    as the client accepts
//
// An [Error] is any answer other than success. outcomes.go holds the one table from outcomes to errors; the other
// errors (a bad name, a missing token) are made by the code that finds them, with the codes in error.go. A
// successful delivery has a [Receipt].
//
// The record of an outcome and its metric do not depend on the response: see "From a cause to an answer" in package
// pipe.
package reply
