// Package crash tests what is left of the audit log when the power fails, and what the server does when its disk fails.
// strace watches the server's system calls, or makes some of them fail.
package crash
