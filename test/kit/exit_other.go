//go:build !linux

package kit

import "os/exec"

// EndWithTest does nothing: only Linux has a signal for this.
func EndWithTest(*exec.Cmd) {}
