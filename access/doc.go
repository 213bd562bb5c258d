// Package access decides who may do what on which channels. It knows secrets, tokens and grants, and nothing of
// HTTP: where a credential comes from, and what its owner is told, is package httpapi's business.
//
//	credential ──▶ Guard.Judge ──▶ Bearer ──▶ Bearer.May(produce, "jobs", "build")
//
// A credential is one of the server's secrets, which may do everything, or a token: a JWT that is signed with one of
// them (HS256, and nothing else) and says by itself what it allows. So nothing is stored, and whoever has the secret
// can make a token with any JWT library. Its claims:
//
//	sub       whose it is, for the audit log; required
//	allow     the permissions, an array of produce, consume, delete, look, audit; required
//	channels  the channels for which it has them, an array of patterns; required
//	exp, nbf  until and from when it is valid, in seconds since 1970; optional
//
// A pattern is namespace/channel, in which * stands for any characters of a name, or none: jobs/*, */logs, ci-*/build.
package access
