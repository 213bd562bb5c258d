// Package access decides which permissions a client has on which channels, topics and services. It knows secrets,
// tokens and grants, but no HTTP: package httpapi extracts the credential from a request and answers the client.
//
//	credential ──▶ Guard.Authenticate ──▶ Bearer ──▶ Bearer.May(Produce, "jobs", "build")
//
// A credential is one of the server's secrets, which allows everything, or a token: a JWT that is signed with a
// secret (by HS256 only) and contains its permissions. The server does not store tokens: with the secret, any JWT
// library can create them. The claims are:
//
//	sub       name of the holder, for the audit log; required
//	allow     array of permissions: produce, consume, delete, look, audit; required
//	channels  array of patterns of channels to which the permissions apply; required
//	exp, nbf  end and beginning of the validity, in seconds since 1970; optional
//
// A pattern is namespace/channel, in which * matches any characters, or none: jobs/*, */logs, ci-*/build. It covers
// the topics and services of these names, too: to publish or to call is to produce, to subscribe or to work is to
// consume.
//
// A server without a secret accepts one credential, the audit key, which is needed to read its audit log.
package access
