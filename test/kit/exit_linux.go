package kit

import (
	"os/exec"
	"syscall"
)

// EndWithTest lets the kernel kill the command when this process ends. The go command ends a test that takes too long without
// a cleanup, and a server that stays behind keeps what it has inherited, such as a lock.
func EndWithTest(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
