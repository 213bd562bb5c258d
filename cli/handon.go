package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"httpipe/client"
)

// killAfter is how long a command may take to end after SIGTERM.
const killAfter = 10 * time.Second

// toCommand receives a message to a temporary file and then runs the command with it. The message counts as received,
// even if the command fails; then toCommand returns an error.
func (r *receiving) toCommand(ctx context.Context, m *client.Incoming, body io.Reader, line *receivedLine) error {
	file, err := newTempFile()
	if err != nil {
		return err
	}
	defer file.remove()
	if line.Bytes, err = io.Copy(file, body); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.progress.end()
	status, err := r.runCommand(ctx, file, r.stdout, variables(r.from, m, file.Name()))
	if status >= 0 {
		line.Status = &status
	}
	if err != nil && status >= 0 {
		return statusError{fmt.Errorf("%s: %w (exchange %s)", r.command[0], err, m.Exchange), statusCommandFailed}
	}
	return err
}

// A runner runs a command for messages.
type runner struct {
	command []string
	stderr  io.Writer
}

// findCommand returns an error if there is no such command.
func findCommand(name string) error {
	_, err := exec.LookPath(name)
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("there is no command %s in $PATH", name)
	}
	if found, ok := errors.AsType[*exec.Error](err); ok {
		err = found.Err
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // without the operation and the path
	}
	return fmt.Errorf("cannot run the command %s: %w", name, err)
}

// runCommand runs the command and returns its exit status, or -1 if it could not be started. When ctx is done, it gets
// SIGTERM.
func (r *runner) runCommand(ctx context.Context, stdin io.Reader, stdout io.Writer, variables []string) (status int, err error) {
	cmd := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, r.stderr
	cmd.Env = append(environment(), variables...)
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return -1, err
	}
	return max(0, cmd.ProcessState.ExitCode()), err
}

// environment returns the environment of this process without the variables of the client, such as its token.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HTTPIPE_TOKEN=") })
}

// variables returns the environment variables that describe a message.
func variables(from client.Address, m *client.Incoming, file string) []string {
	known := []string{
		"HTTPIPE_FILE=" + file,
		"HTTPIPE_EXCHANGE=" + m.Exchange,
		"HTTPIPE_CHANNEL=" + from.Name(),
		"HTTPIPE_CONTENT_TYPE=" + m.Type(),
		"HTTPIPE_NAME=" + safeName(m),
	}
	if method := m.Method(); method != "" {
		known = append(known, "HTTPIPE_METHOD="+method, "HTTPIPE_TARGET="+m.Target())
	}
	for name, values := range m.SentHeader() {
		variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		known = append(known, "HTTPIPE_HEADER_"+variable+"="+strings.Join(values, ", "))
	}
	return slices.DeleteFunc(known, func(entry string) bool { return strings.ContainsRune(entry, 0) })
}

// A tempFile is a file that only this user can read, and that is removed after its use.
type tempFile struct{ *os.File }

func newTempFile() (tempFile, error) {
	file, err := os.CreateTemp("", "httpipe-*")
	return tempFile{file}, err
}

func (t tempFile) remove() {
	t.Close()
	os.Remove(t.Name())
}

// forEver runs so many loops at the same time. When one of them fails it calls drain, which ends the others, and returns
// the first error.
func forEver(jobs int, drain func(), loop func() error) error {
	var all sync.WaitGroup
	failed := make(chan error, jobs)
	for range jobs {
		all.Go(func() {
			if err := loop(); err != nil {
				failed <- err
				drain()
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}
