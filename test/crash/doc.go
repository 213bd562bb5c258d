// Package crash tests that the audit log survives power cuts, and how the server behaves when its disk fails. strace records
// the system calls of the server, or makes some of them fail.
package crash
