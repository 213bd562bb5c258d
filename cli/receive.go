package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"httpipe/client"
)

// A receiving is one run of the command receive.
type receiving struct {
	transfer
	runner          // without a command if there is none
	output   string // a file or a directory; empty: none
	forever  bool
	jobs     int
	client   *client.Client
	from     client.Address
	progress *progress // nil if several messages can arrive at once
	stdout   io.Writer
	mu       sync.Mutex // held while a job prints, so that lines do not mix
}

// A receivedLine is what --json prints for a message that was received.
type receivedLine struct {
	Exchange    string `json:"exchange"`
	Outcome     string `json:"outcome"` // received
	Bytes       int64  `json:"bytes"`
	ContentType string `json:"content_type"`
	Name        string `json:"name,omitempty"`
	File        string `json:"file,omitempty"`
	Status      *int   `json:"status,omitempty"` // exit status of the command
}

// receive receives messages from a channel.
func (p Program) receive() command {
	var r receiving
	return command{
		name: "receive", args: "URL [COMMAND]...", options: []option{r.tokenOption()},
		flags: append([]option{
			{name: "output", short: "o", arg: "FILE", help: "write to FILE or, if it is a directory, to a new file in it",
				set: into(&r.output, parseFileName)},
			{name: "forever", help: "receive one message after the other, until SIGTERM or Ctrl-C", set: into(&r.forever, parseBool)},
			{name: "jobs", arg: "N", def: "1", help: "with --forever, how many messages to handle at the same time", set: into(&r.jobs, parseCount)},
		}, r.flags("producer")...),
		help: "receive a message: to stdout, a file or a command",
		more: `Write -- before COMMAND. It gets the message on its standard input, when the message has arrived
whole, and these variables describe it: HTTPIPE_FILE (a file with the message, which is removed
later), HTTPIPE_EXCHANGE, HTTPIPE_CHANNEL, HTTPIPE_CONTENT_TYPE, HTTPIPE_NAME, and
HTTPIPE_HEADER_NAME for each other header that a relay passes on. FILE, too, appears only when the
message has arrived whole, and a file in a directory never replaces another one.

Without -o and COMMAND the message goes to standard output as it comes. Then only the exit status
says whether it was whole: if it is not 0, do not use the output.

The producer gets its 200 when the message has arrived here, whether COMMAND succeeds or fails. Use
a service (httpipe work) if the sender must know.

` + transferHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
			if r.from, err = parseURL(args[0], client.Channel); err != nil {
				return err
			}
			r.command, r.stdout, r.stderr = args[1:], stdout, stderr
			if err := r.check(); err != nil {
				return err
			}
			if r.jobs == 1 && (r.output != "" || len(r.command) > 0 || !IsTerminal(stdout)) {
				r.progress = newProgress(stderr)
			}
			if r.client, err = r.transfer.client(p.Version, stderr, r.progress); err != nil {
				return err
			}
			return r.run(ctx)
		},
	}
}

// check returns an error if the options exclude each other, or if a message would be lost because it could not be stored.
func (r *receiving) check() error {
	toCommand := len(r.command) > 0
	switch {
	case toCommand && r.output != "":
		return usageErrorf("--output and a command exclude each other; the command gets the message in a file, whose path is in HTTPIPE_FILE")
	case r.jobs > 1 && !r.forever:
		return usageErrorf("--jobs has no effect without --forever; add it")
	case r.jobs > 1 && !toCommand && r.output == "":
		return usageErrorf("--jobs needs a command or a directory (-o): on standard output the messages would mix")
	case r.forever && r.output != "" && !isDirectory(r.output):
		return usageErrorf("with --forever, -o must be a directory that exists: in a file each message would replace the last one")
	case r.output != "" && !isDirectory(filepath.Dir(r.output)), strings.HasSuffix(r.output, "/") && !isDirectory(r.output):
		return fmt.Errorf("%s: there is no such directory; create it first", filepath.Dir(r.output))
	case r.json && !toCommand && r.output == "":
		return usageErrorf("--json needs a command or -o: standard output has the message")
	}
	if toCommand {
		return findCommand(r.command[0])
	}
	return nil
}

// run receives one message, or, with --forever, messages until a signal.
func (r *receiving) run(ctx context.Context) error {
	running, waiting, drain, stop := interruptible(ctx)
	defer stop()
	if !r.forever {
		context.AfterFunc(waiting, stop) // half a message is of no use
		err := r.one(running)
		if waiting.Err() != nil && err != nil {
			return errInterrupted
		}
		return err
	}
	r.client.Waiting, r.client.Retries = waiting, client.Forever
	return forEver(r.jobs, drain, func() error { return r.loop(running) })
}

// loop receives messages until a signal, or until a failure that the next attempt would meet too.
func (r *receiving) loop(ctx context.Context) error {
	for r.client.Waiting.Err() == nil {
		err := r.one(ctx)
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case err == nil || errors.Is(err, errInterrupted):
		case canContinue(err):
			r.say("httpipe: " + escape(err.Error()))
		default:
			return err
		}
	}
	return nil
}

// canContinue reports whether the next message can succeed after this error.
func canContinue(err error) bool {
	if f, ok := errors.AsType[*client.Failure](err); ok {
		return !f.Final && f.Class() != client.Rejected && f.Class() != client.TimedOut
	}
	e, ok := errors.AsType[statusError](err)
	return ok && e.status == statusCommandFailed
}

// say prints a line on stderr.
func (r *receiving) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.clear()
	fmt.Fprintln(r.stderr, line)
}

// one receives a message and handles it.
func (r *receiving) one(ctx context.Context) error {
	r.progress.begin(r.from.Name()+": waiting for a producer", -1)
	err := r.client.Receive(ctx, r.from, func(m *client.Incoming) error {
		r.progress.begin(r.from.Name()+": receiving", m.Length)
		defer r.progress.end()
		line := receivedLine{Exchange: m.Exchange, Outcome: "received", ContentType: m.Type(), Name: safeName(m)}
		body := counter{io.NopCloser(m.Body), r.progress}
		begun := time.Now()
		var err error
		switch {
		case len(r.command) > 0:
			err = r.toCommand(ctx, m, body, &line)
		case r.output != "":
			line.File, line.Bytes, err = save(r.output, m, body)
		default:
			return r.print(body)
		}
		if line.File != "" || line.Status != nil {
			r.report(line, time.Since(begun))
		}
		return err
	})
	r.progress.end()
	if err != nil && r.json && !errors.Is(err, errInterrupted) {
		writeJSON(r.reports(), failureLineOf(err, "")) // the exit status does not depend on it
	}
	return err
}

// print writes a message to standard output. What was printed cannot be taken back, so there is no other attempt.
func (r *receiving) print(body io.Reader) error {
	n, err := io.Copy(r.stdout, body)
	if f, ok := errors.AsType[*client.Failure](err); ok && n > 0 {
		f.Final = true
		f.Text += "; do not use what was printed"
	}
	return err
}

// reports returns where --json prints: standard output is the command's, if there is one.
func (r *receiving) reports() io.Writer {
	if len(r.command) > 0 {
		return r.stderr
	}
	return r.stdout
}

// report says that a message was received.
func (r *receiving) report(line receivedLine, took time.Duration) {
	r.progress.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.json:
		writeJSON(r.reports(), line)
	case r.progress != nil && line.File != "":
		style := styleOf(r.stderr)
		fmt.Fprintf(r.stderr, "%s: received, %s in %s\n", escape(line.File), style.size(line.Bytes), style.duration(took.Milliseconds()))
	}
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// save writes a message to a file, or to a new file in a directory. The file has its name only when it is whole, and on
// disk. A file that it replaces leaves it its mode, which may be that of a secret. A device or a named pipe gets the message as
// it comes.
func save(output string, m *client.Incoming, body io.Reader) (path string, size int64, err error) {
	inDirectory := isDirectory(output)
	path = output
	if inDirectory {
		path = filepath.Join(output, cmp.Or(safeName(m), m.Exchange))
	} else if real, err := filepath.EvalSymlinks(output); err == nil {
		path = real
	}
	var replaced os.FileInfo
	if !inDirectory {
		replaced, _ = os.Stat(path)
	}
	mode := os.FileMode(0o666)
	switch {
	case replaced == nil:
	case replaced.Mode().IsRegular():
		mode = replaced.Mode().Perm()
	default:
		if size, err = writeDevice(path, body); err != nil {
			return "", 0, err
		}
		return path, size, nil
	}
	part := filepath.Join(filepath.Dir(path), "."+m.Exchange+".part")
	if size, err = writePart(part, mode, body); err != nil {
		return "", 0, err
	}
	switch {
	case inDirectory:
		path, err = reserve(path)
	case replaced != nil:
		err = os.Chmod(part, mode) // the umask has taken some of it
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
		return "", 0, err
	}
	return path, size, nil
}

// writeDevice writes a body to a device or a named pipe. What it has written cannot be taken back.
func writeDevice(path string, body io.Reader) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(file, body)
	return size, final(errors.Join(err, file.Close()))
}

// writePart writes a body to a new file, and syncs it. It leaves no file after an error.
func writePart(path string, mode os.FileMode, body io.Reader) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(file, body)
	if err == nil {
		err = file.Sync()
	}
	if err = cmp.Or(err, file.Close()); err != nil {
		os.Remove(path)
	}
	return size, err
}

// final marks a failure as one after which there must be no other attempt.
func final(err error) error {
	if f, ok := errors.AsType[*client.Failure](err); ok {
		f.Final = true
		return f
	}
	return err
}

// safeName returns the name of a message's file, or "" if it has none that is good here. The sender chooses the name, so it
// must not lead to another directory, hide the file, look like another one by invisible characters, or be too long.
func safeName(m *client.Incoming) string {
	name := strings.ReplaceAll(m.Name(), `\`, "/")
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, name[strings.LastIndexByte(name, '/')+1:])
	name = strings.TrimLeft(name, ".")
	if len(name) > 200 {
		return ""
	}
	return name
}

// reserve creates an empty file at the path or, if that exists, at the first of "name-2.txt", "name-3.txt", … that does
// not.
func reserve(path string) (string, error) {
	extension := filepath.Ext(path)
	stem := strings.TrimSuffix(path, extension)
	for n := 2; ; n++ {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return path, file.Close()
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
		path = fmt.Sprintf("%s-%d%s", stem, n, extension)
	}
}
