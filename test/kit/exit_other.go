//go:build !linux

package kit

import "os/exec"

func endWithTest(*exec.Cmd) {}
