package kit

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is the end of a pseudo-terminal at which a person would sit.
type Terminal struct {
	t      *testing.T
	file   *os.File
	screen strings.Builder // what was printed so far, without carriage returns
}

// OnTerminal starts a command whose input and outputs are a terminal. The command is killed at the end of the test,
// or after 30 s.
func OnTerminal(t *testing.T, cmd *exec.Cmd) *Terminal {
	t.Helper()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this machine has no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	other, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		t.Fatal(errno)
	}
	tty := os.NewFile(other, "tty")
	defer tty.Close()
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 200}); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); cmd.Process.Kill(); cmd.Wait() })
	return &Terminal{t: t, file: file}
}

// Type types a text.
func (s *Terminal) Type(text string) {
	s.t.Helper()
	if _, err := s.file.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// WaitFor reads until the screen shows the text, and returns all that was printed so far.
func (s *Terminal) WaitFor(text string) string {
	s.t.Helper()
	for !strings.Contains(s.screen.String(), text) {
		if !s.read() {
			s.t.Fatalf("the terminal never showed %q but\n%s", text, &s.screen)
		}
	}
	return s.screen.String()
}

// All reads until the command has ended, and returns all that it printed.
func (s *Terminal) All() string {
	s.t.Helper()
	for s.read() {
	}
	return s.screen.String()
}

// read reads more of what was printed. At the end of the command, a terminal fails with EIO.
func (s *Terminal) read() bool {
	part := make([]byte, 4096)
	n, err := s.file.Read(part)
	s.screen.WriteString(strings.ReplaceAll(string(part[:n]), "\r", ""))
	if err != nil && !errors.Is(err, syscall.EIO) {
		s.t.Fatalf("%v after\n%s", err, &s.screen)
	}
	return err == nil
}
