//go:build !cgo

package store

// SQLite is compiled into the program. Without cgo, the driver compiles but fails when it is used; this makes
// the build fail instead.
var _ int = "SQLite is written in C: build with CGO_ENABLED=1 and a C compiler, such as gcc"
