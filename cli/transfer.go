package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"httpipe/client"
)

// transferHelp explains what the commands that send and receive have in common.
const transferHelp = `A request waits for at most a round, and then the next one follows, so that proxies do not cut it.
While the relay is down, restarts or has no room, the command tries again.

Exit status: 0 success; 1 a problem on this machine, such as a full disk; 2 a mistake in the command
line; 4 the wait was over; 5 the server rejects the request; 6 the transfer broke; 7 the relay is
unavailable; 8 the channel was deleted; 9 the command failed; 130 interrupted.`

// statusOf are the exit statuses of failures.
var statusOf = map[client.Class]int{
	client.TimedOut:    4,
	client.Rejected:    5,
	client.Failed:      6,
	client.Unavailable: 7,
	client.Deleted:     8,
}

const (
	statusCommandFailed = 9
	statusInterrupted   = 130
)

// A statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

var errInterrupted = statusError{errors.New("interrupted"), statusInterrupted}

// A transfer holds the values of the options that all commands of the client share.
type transfer struct {
	token, tokenFile string
	wait, round      time.Duration
	retries          int
	json             bool
}

// tokenOption returns the option for the client's token, which is also read from a variable.
func (t *transfer) tokenOption() option {
	return option{name: "token", group: "Access", arg: "TOKEN", secret: true, guarded: true,
		help: "token to send; other users may see a flag, but not the variable",
		set:  into(&t.token, anyText)}
}

// flags returns the options that have no variable. partner is the other side, which the command waits for.
func (t *transfer) flags(partner string) []option {
	return []option{
		{name: "wait", arg: "TIME", def: "none", help: "how long to wait for a " + partner + "; 0: do not wait",
			set: into(&t.wait, parseWait)},
		{name: "round", arg: "TIME", def: client.DefaultRound.String(), help: "longest wait of one request; shorter than your proxies allow",
			set: into(&t.round, positive(parseDuration))},
		{name: "retry", arg: "N", def: fmt.Sprint(client.DefaultRetries), help: "how many failures in a row to retry after; forever: no limit",
			set: into(&t.retries, parseRetries)},
		{name: "json", help: "print a line of JSON for each message", set: into(&t.json, parseBool)},
		{name: "token-file", arg: "FILE", help: "file that holds the token", set: into(&t.tokenFile, parseFileName)},
	}
}

func parseWait(text string) (time.Duration, error) {
	if text == "none" {
		return client.Forever, nil
	}
	wait, err := parseDuration(text)
	if err != nil {
		err = fmt.Errorf("%w, or none", err)
	}
	return wait, err
}

func parseRetries(text string) (int, error) {
	if text == "forever" {
		return client.Forever, nil
	}
	if text == "0" {
		return 0, nil
	}
	n, err := parseCount(text)
	if err != nil {
		err = errors.New("want a whole number, or forever")
	}
	return n, err
}

// client returns a client that these options call for. It says on stderr when it tries again.
func (t *transfer) client(version string, stderr io.Writer, p *progress) (*client.Client, error) {
	c := client.New("httpipe/" + version)
	c.Wait, c.Round, c.Retries = t.wait, t.round, t.retries
	c.Token = t.token
	if t.tokenFile != "" {
		text, err := os.ReadFile(t.tokenFile)
		if err != nil {
			return nil, err
		}
		if c.Token = strings.TrimSpace(string(text)); c.Token == "" {
			return nil, fmt.Errorf("the token file %s is empty", t.tokenFile)
		}
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, errors.New("the token contains a space or a control character; copy it again, from \"httpipe token\"")
	}
	c.Notice = func(r client.Retry) {
		p.clear()
		fmt.Fprintf(stderr, "httpipe: %s; trying again in %s\n", escape(r.Failure.Error()), r.Pause.Round(100*time.Millisecond))
	}
	return c, nil
}

// parseURL is client.ParseAddress for an argument of a command.
func parseURL(text string, kind client.Kind) (client.Address, error) {
	a, err := client.ParseAddress(text, kind)
	if err != nil {
		err = usageError{err}
	}
	return a, err
}

// writeJSON writes a value as a line.
func writeJSON(w io.Writer, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// A failureLine is what --json prints for a transfer without success.
type failureLine struct {
	Outcome  string `json:"outcome"`
	Error    string `json:"error"`
	Exchange string `json:"exchange,omitempty"`
	File     string `json:"file,omitempty"`
}

// failureLineOf returns the line for an error.
func failureLineOf(err error, file string) failureLine {
	if f, ok := errors.AsType[*client.Failure](err); ok {
		return failureLine{Outcome: f.Outcome, Error: f.Text, Exchange: f.Exchange, File: file}
	}
	return failureLine{Outcome: "error", Error: err.Error(), File: file}
}

// interruptible returns two contexts. A SIGINT or SIGTERM, or drain, ends waiting; the second one ends running too. stop
// ends both.
func interruptible(ctx context.Context) (running, waiting context.Context, drain, stop func()) {
	running, cut := context.WithCancelCause(ctx)
	waiting, cancel := context.WithCancelCause(running)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for _, end := range []context.CancelCauseFunc{cancel, cut} {
			select {
			case <-signals:
				end(errInterrupted)
			case <-running.Done():
				return
			}
		}
	}()
	return running, waiting, func() { cancel(errInterrupted) }, func() {
		signal.Stop(signals)
		cut(errInterrupted)
	}
}
