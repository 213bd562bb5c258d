package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"httpipe/client"
)

// killAfter is how long a command may take to end after SIGTERM.
const killAfter = 10 * time.Second

// toCommand receives a message to a temporary file and then runs the command with it, which must end well. The message
// counts as received then, whatever the command makes of it.
func (r *receiving) toCommand(ctx context.Context, m *client.Incoming, body io.Reader, line *receivedLine) error {
	file, err := os.CreateTemp("", "httpipe-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if line.Bytes, err = io.Copy(file, body); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.progress.end()
	cmd := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, r.stdout, r.stderr
	cmd.Env = append(environment(), variables(r.from, m, file.Name())...)
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return err // it was not started
	}
	status := cmd.ProcessState.ExitCode()
	line.Status = &status
	if err != nil {
		return statusError{fmt.Errorf("%s: %w (exchange %s)", r.command[0], err, m.Exchange), statusCommandFailed}
	}
	return nil
}

// environment returns the environment of this process without what is only for the client.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HTTPIPE_TOKEN=") })
}

// variables returns what a command learns about a message.
func variables(from client.Address, m *client.Incoming, file string) []string {
	known := []string{
		"HTTPIPE_FILE=" + file,
		"HTTPIPE_EXCHANGE=" + m.Exchange,
		"HTTPIPE_CHANNEL=" + from.Name(),
		"HTTPIPE_CONTENT_TYPE=" + m.Type(),
		"HTTPIPE_NAME=" + safeName(m),
	}
	for name, values := range m.Header {
		if sent, ok := strings.CutPrefix(name, "Httpipe-Header-"); ok {
			variable := strings.ToUpper(strings.ReplaceAll(sent, "-", "_"))
			known = append(known, "HTTPIPE_HEADER_"+variable+"="+strings.Join(values, ", "))
		}
	}
	return slices.DeleteFunc(known, func(entry string) bool { return strings.ContainsRune(entry, 0) })
}
