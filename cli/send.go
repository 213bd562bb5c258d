package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"httpipe/client"
)

// lookInterval is how often send looks whether its message waits, on a terminal.
const lookInterval = 2 * time.Second

// A sending is one run of send or publish.
type sending struct {
	transfer
	kind            client.Kind // of what it sends to
	name, mediaType string      // of the message, instead of the file's
	subscribers     int         // that a publication waits for
	client          *client.Client
	to              client.Address
	progress        *progress
	stdout, stderr  io.Writer
}

// A sentLine is what --json prints for a message that was delivered.
type sentLine struct {
	client.Receipt
	File string `json:"file,omitempty"`
}

// repeatHelp says when the commands that send try again.
const repeatHelp = `A message is sent again only if it may not have arrived and can be read again: a file, or at most
8 MiB of a stream. So it arrives at least once: if the answer gets lost, it may arrive twice.`

// send sends files to a channel.
func (p Program) send() command {
	s := sending{kind: client.Channel}
	return command{
		name: "send", args: "[FILE]... URL", options: []option{s.tokenOption()},
		flags: append(s.messageFlags(), s.flags("consumer")...),
		help:  "send files, or standard input, to a channel",
		more: `It sends standard input if there is no FILE, or for -. Each file is one message. The command sends
them in order and stops at the first failure.
` + repeatHelp + "\n\n" + transferHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
			s.stdout, s.stderr = stdout, stderr
			return s.run(ctx, p.Version, args)
		},
	}
}

// publish publishes files to a topic.
func (p Program) publish() command {
	s := sending{kind: client.Topic}
	return command{
		name: "publish", args: "[FILE]... URL", options: []option{s.tokenOption()},
		flags: append(append(s.messageFlags(),
			option{name: "subscribers", arg: "N", help: "wait until at least N clients are subscribed", set: into(&s.subscribers, parseCount)}),
			s.flags("subscriber")...),
		help: "publish files, or standard input, to a topic",
		more: `It succeeds when each subscriber has taken the message, was cut or has left, and also if there are
no subscribers.
` + repeatHelp + "\n\n" + transferHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
			s.stdout, s.stderr = stdout, stderr
			return s.run(ctx, p.Version, args)
		},
	}
}

// messageFlags returns the options that describe the message.
func (s *sending) messageFlags() []option {
	return []option{
		{name: "name", arg: "NAME", help: "file name to send, instead of that of FILE", set: into(&s.name, anyText)},
		{name: "type", arg: "TYPE", help: "Content-Type, instead of the one that the name suggests", set: into(&s.mediaType, anyText)},
	}
}

// run sends the files that args name, before the URL.
func (s *sending) run(ctx context.Context, version string, args []string) (err error) {
	files, url := args[:len(args)-1], args[len(args)-1]
	if s.to, err = parseURL(url, s.kind); err != nil {
		return err
	}
	if s.subscribers > 0 {
		s.to = s.to.With("subscribers", strconv.Itoa(s.subscribers))
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	if len(files) > 1 && s.name != "" {
		return usageErrorf("--name is for one message; each of the %d files has its own name", len(files))
	}
	s.progress = newProgress(s.stderr)
	if s.client, err = s.transfer.client(version, s.stderr, s.progress); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for i, path := range files {
		if err := s.sendFile(ctx, path); err != nil {
			if ctx.Err() != nil {
				err = errInterrupted
			}
			return notSent(err, files[i:])
		}
	}
	return nil
}

// notSent adds to an error which files were not sent, if there are more than the one it is about.
func notSent(err error, files []string) error {
	if len(files) == 1 {
		return err
	}
	return fmt.Errorf("%w (not sent: %s and %d more)", err, files[0], len(files)-1)
}

// open opens a file, or standard input for "-". It returns when ctx is done, because opening a named pipe blocks until it
// has a writer.
func (s *sending) open(ctx context.Context, path string) (*os.File, error) {
	if path != "-" {
		var file *os.File
		opened := make(chan error, 1)
		go func() {
			var err error
			file, err = os.Open(path)
			opened <- err
		}()
		select {
		case err := <-opened:
			return file, err
		case <-ctx.Done():
			return nil, context.Cause(ctx) // the end of the process closes a file that still opens
		}
	}
	if s.progress != nil && IsTerminal(os.Stdin) {
		fmt.Fprintln(s.stderr, "Type the message; Ctrl-D at the beginning of a line ends it.")
	}
	return os.Stdin, nil
}

// message returns the message of a file.
func (s *sending) message(path string, file *os.File) (client.Message, error) {
	m, err := client.FileMessage(file)
	if path == "-" {
		m.Name, m.Type = "", ""
	}
	m.Name, m.Type = cmp.Or(s.name, m.Name), cmp.Or(s.mediaType, m.Type)
	open := m.Open
	m.Open = func() (io.ReadCloser, error) {
		body, err := open()
		if err != nil {
			return nil, err
		}
		s.progress.begin(path+": connecting", m.Size)
		return counter{body, s.progress}, nil
	}
	return m, err
}

// sendFile sends one file, and says how it went.
func (s *sending) sendFile(ctx context.Context, path string) error {
	file, err := s.open(ctx, path)
	if err != nil {
		return err
	}
	defer file.Close()
	m, err := s.message(path, file)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if s.progress != nil && s.kind == client.Channel {
		go s.look(watching, path)
	}
	begun := time.Now()
	receipt, err := s.client.Send(ctx, s.to, m)
	stop()
	s.progress.end()
	switch {
	case err != nil && s.json:
		writeJSON(s.stdout, failureLineOf(err, path)) // the exit status does not depend on it
		return err
	case err != nil:
		return err
	case s.json:
		return writeJSON(s.stdout, sentLine{receipt, path})
	case s.progress != nil:
		style := styleOf(s.stderr)
		what := receipt.Outcome
		if receipt.Subscribers != nil && receipt.Delivered != nil {
			what = fmt.Sprintf("%s, delivered to %d of %d subscribers", what, *receipt.Delivered, *receipt.Subscribers)
		}
		fmt.Fprintf(s.stderr, "%s: %s, %s in %s\n", escape(path), what, style.size(receipt.Bytes), style.duration(time.Since(begun).Milliseconds()))
	}
	return nil
}

// look shows beside the progress whether the message waits for a consumer, until ctx is done. Without the permission to
// look, that remains unknown.
func (s *sending) look(ctx context.Context, path string) {
	for last := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookInterval):
		}
		moved := s.progress.moved()
		state := "sending"
		if look, err := s.client.Look(ctx, s.to); err != nil && moved == last {
			state = "waiting for a consumer, or for it to read on"
		} else if err == nil && moved == last && look.Producers > 0 {
			state = "waiting for a consumer"
		}
		if ctx.Err() == nil {
			s.progress.say(path + ": " + state)
		}
		last = moved
	}
}
