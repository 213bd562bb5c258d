package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"unicode/utf8"

	"httpipe/client"
)

// A subscribing is one run of the command subscribe.
type subscribing struct {
	transfer
	runner
	after  string // id of a publication
	stdout io.Writer
}

// An eventLine is what --json prints for a message, or for missed ones.
type eventLine struct {
	ID     string  `json:"id,omitempty"`
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
	Missed string  `json:"missed,omitempty"`
}

// subscribe receives the messages of a topic.
func (p Program) subscribe() command {
	var s subscribing
	flags := []option{{name: "after", arg: "ID", help: "id of a publication; say how many were missed since", set: into(&s.after, anyText)}}
	for _, o := range s.flags("") {
		if o.name != "wait" { // a subscription waits for ever
			flags = append(flags, o)
		}
	}
	return command{
		name: "subscribe", args: "URL [COMMAND]...", options: []option{s.tokenOption()}, flags: flags,
		help: "print a topic's messages, or run a command for each",
		more: `It prints each message unchanged, and a line break if the message does not end with one. When the
connection breaks, the command subscribes again and says how many messages it has missed.

Write -- before COMMAND. It gets a message on its standard input, and its id in HTTPIPE_PUBLICATION.
The next message waits until the command has ended; a subscriber that falls behind is cut.

` + transferHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			topic, err := parseURL(args[0], client.Topic)
			if err != nil {
				return err
			}
			s.stdout, s.runner = stdout, runner{args[1:], stderr}
			if len(s.command) > 0 {
				if err := findCommand(s.command[0]); err != nil {
					return err
				}
			}
			s.wait = client.Forever
			c, err := s.client(p.Version, stderr, nil)
			if err != nil {
				return err
			}
			running, subscribed, _, stop := interruptible(ctx)
			defer stop()
			err = c.Subscribe(subscribed, topic, s.after, func(e client.Event) error { return s.take(running, e) })
			if subscribed.Err() != nil && running.Err() == nil {
				return nil // a command that ran has ended
			}
			return err
		},
	}
}

// take handles an event.
func (s *subscribing) take(ctx context.Context, e client.Event) error {
	switch {
	case e.Missed != "":
		fmt.Fprintf(s.stderr, "httpipe: messages missed: %s\n", escape(e.Missed))
		if s.json && len(s.command) == 0 {
			return writeJSON(s.stdout, eventLine{ID: e.ID, Missed: e.Missed})
		}
		return nil
	case len(s.command) > 0:
		status, err := s.runCommand(ctx, bytes.NewReader(e.Body), s.stdout, []string{"HTTPIPE_PUBLICATION=" + e.ID})
		if status >= 0 && err != nil && ctx.Err() == nil {
			fmt.Fprintf(s.stderr, "httpipe: %s: %v (publication %s)\n", s.command[0], err, escape(e.ID))
			err = nil
		}
		return err
	case s.json:
		line := eventLine{ID: e.ID}
		if text := string(e.Body); utf8.ValidString(text) {
			line.Text = &text
		} else {
			line.Base64 = e.Body
		}
		return writeJSON(s.stdout, line)
	}
	body := e.Body
	if !bytes.HasSuffix(body, []byte("\n")) {
		body = append(body, '\n')
	}
	_, err := s.stdout.Write(body)
	return err
}
