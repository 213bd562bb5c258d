//go:build !cgo

package store

// SQLite is compiled in. Without cgo its driver would build all the same, and fail when it is used; so this
// does not compile.
var _ int = "SQLite is written in C: build with CGO_ENABLED=1 and a C compiler, such as gcc"
