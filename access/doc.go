// Package access decides who may do what on which channels. It knows secrets, tokens and grants, but nothing of
// HTTP: package httpapi extracts the credential from a request and answers the client.
//
//	credential ──▶ Guard.Authenticate ──▶ Bearer ──▶ Bearer.May(Produce, "jobs", "build")
//
// A credential is one of the server's secrets, which allows everything, or a token: a JWT that is signed with a
// secret (by HS256 only) and contains its permissions. The server does not store tokens, and anyone who has the
// secret can create them with any JWT library. The claims are:
//
//	sub       name of the holder, for the audit log; required
//	allow     array of permissions: produce, consume, delete, look, audit; required
//	channels  array of patterns of channels to which the permissions apply; required
//	exp, nbf  end and beginning of the validity, in seconds since 1970; optional
//
// A pattern is namespace/channel, in which * matches any characters, or none: jobs/*, */logs, ci-*/build.
//
// A server without a secret accepts one credential, the audit key, which is needed to read its audit log.
package access
