package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"httpipe/client"
)

// forwardJobs is how many requests a worker for a web server handles at the same time without --jobs: a browser sends
// several for one page.
const forwardJobs = 16

// A working is one run of the command work.
type working struct {
	transfer
	runner
	to        *url.URL // the web server; nil: there is a command
	mediaType string   // of the command's output
	jobs      int
	limit     time.Duration // for an answer to begin; 0: none
	client    *client.Client
	service   client.Address
	local     http.RoundTripper
}

// work answers the requests of a service.
func (p Program) work() command {
	var w working
	flags := []option{
		{name: "to", arg: "SERVER", help: "pass requests to this web server, such as http://localhost:8080", set: into(&w.to, parseServer)},
		{name: "type", arg: "TYPE", def: "text/plain; charset=utf-8", help: "Content-Type of the command's output", set: into(&w.mediaType, anyText)},
		{name: "jobs", arg: "N", def: "auto", help: "requests to handle at once; auto: 1 for a command, 16 with --to", set: into(&w.jobs, orWord("auto", parseCount))},
		{name: "timeout", arg: "TIME", def: "60s", help: "time limit for the command, or for the response to begin; 0: none",
			set: into(&w.limit, orOff("no limit", parseDuration))},
	}
	for _, o := range w.flags("") {
		if o.name != "wait" && o.name != "json" && o.name != "retry" { // a worker works for ever
			flags = append(flags, o)
		}
	}
	return command{
		name: "work", args: "URL [COMMAND]...", options: []option{w.tokenOption()}, flags: flags,
		help: "answer requests by a command or a web server",
		more: `Write -- before COMMAND. It runs once for each request, which it gets on its standard input when the
request has arrived whole; its output is the answer, with the status 200, or 500 if it fails. The
variables are those of receive, and HTTPIPE_METHOD and HTTPIPE_TARGET (the path below the service).

With --to, requests and responses stream between the callers and a web server that the relay cannot
reach. The server gets the callers' methods, paths, headers and bodies.

Without an answer in time, the caller gets 504: by this command after --timeout, or by the relay
after its --reply-timeout, which this command does not notice. A request that was taken is answered
before SIGTERM or Ctrl-C ends the command.

` + transferHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
			if w.service, err = parseURL(args[0], client.Service); err != nil {
				return err
			}
			w.runner = runner{args[1:], stderr}
			switch {
			case (w.to == nil) == (len(w.command) == 0):
				return usageErrorf("want a command, after --, or --to with the URL of a web server")
			case w.to == nil:
				if err := findCommand(w.command[0]); err != nil {
					return err
				}
			}
			w.wait, w.retries = client.Forever, client.Forever
			if w.client, err = w.transfer.client(p.Version, stderr, nil); err != nil {
				return err
			}
			return w.run(ctx)
		},
	}
}

// parseServer reads the URL of a web server.
func parseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want the URL of a web server, such as http://localhost:8080")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// run handles requests until a signal.
func (w *working) run(ctx context.Context) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.Proxy = nil
	transport.ResponseHeaderTimeout = w.limit
	w.local = transport
	jobs := w.jobs
	if jobs == 0 {
		jobs = 1
		if w.to != nil {
			jobs = forwardJobs
		}
	}
	running, waiting, drain, stop := interruptible(ctx)
	defer stop()
	w.client.Waiting = waiting
	return forEver(jobs, drain, func() error { return w.loop(running) })
}

// loop handles one request after the other.
func (w *working) loop(ctx context.Context) error {
	for w.client.Waiting.Err() == nil {
		err := w.client.Receive(ctx, w.service, func(m *client.Incoming) error { return w.handle(ctx, m) })
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case err == nil || errors.Is(err, errInterrupted):
		case canContinue(err):
			fmt.Fprintf(w.stderr, "httpipe: %s\n", escape(err.Error()))
		default:
			return err
		}
	}
	return nil
}

// handle answers a request. It prints an error, which does not end the command.
func (w *working) handle(ctx context.Context, m *client.Incoming) error {
	begun := time.Now()
	var err error
	if w.to != nil {
		err = w.forward(ctx, m)
	} else {
		err = w.answer(ctx, m)
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "httpipe: %s %s: %s (exchange %s, after %s)\n", escape(m.Method()), escape(m.Target()), escape(err.Error()),
			m.Exchange, time.Since(begun).Round(time.Millisecond))
	}
	return nil
}

// answer runs the command for a request that has arrived whole, and sends what it prints.
func (w *working) answer(ctx context.Context, m *client.Incoming) error {
	in, err := newTempFile()
	if err != nil {
		return err
	}
	defer in.remove()
	out, err := newTempFile()
	if err != nil {
		return err
	}
	defer out.remove()
	if _, err := io.Copy(in, m.Body); err != nil {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a := client.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {w.mediaType}}}
	failed := w.runLimited(ctx, in, out, variables(w.service, m, in.Name()))
	switch {
	case errors.Is(failed, errTooSlow):
		a.Status = http.StatusGatewayTimeout
	case failed != nil:
		a.Status = http.StatusInternalServerError
	}
	if a.Length, err = out.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a.Body = out
	if failed != nil && a.Length == 0 {
		text := "the command failed: " + failed.Error() + "\n"
		a.Body, a.Length = strings.NewReader(text), int64(len(text))
		a.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	return cmp.Or(w.client.Answer(ctx, w.service, m, a), failed)
}

// errTooSlow ends a command that exceeds the limit.
var errTooSlow = errors.New("no answer within --timeout")

// runLimited runs the command, which gets SIGTERM at the limit.
func (w *working) runLimited(ctx context.Context, in io.Reader, out io.Writer, variables []string) error {
	if w.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.limit, errTooSlow)
		defer cancel()
	}
	_, err := w.runCommand(ctx, in, out, variables)
	if err != nil && context.Cause(ctx) == errTooSlow {
		return errTooSlow
	}
	return err
}

// forward passes a request to the web server, and its response to the caller.
func (w *working) forward(ctx context.Context, m *client.Incoming) error {
	target, err := url.Parse(w.to.String() + m.Target())
	if err != nil {
		return w.refuse(ctx, m, http.StatusBadRequest, "the worker cannot make a URL of the path", err)
	}
	req := (&http.Request{Method: m.Method(), URL: target, Host: w.to.Host, Header: m.SentHeader(), Body: io.NopCloser(m.Body), ContentLength: m.Length}).WithContext(ctx)
	req.Header.Set("X-Forwarded-Host", req.Header.Get("Host"))
	req.Header.Del("Host")
	req.Header.Del("Content-Length")
	if m.Length == 0 {
		req.Body = http.NoBody
	}
	resp, err := w.local.RoundTrip(req)
	if f, ok := errors.AsType[*client.Failure](err); ok {
		return f // the caller has left
	}
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return w.refuse(ctx, m, http.StatusGatewayTimeout, "the worker's web server is too slow", err)
	}
	if err != nil {
		return w.refuse(ctx, m, http.StatusBadGateway, "the worker's web server does not answer", err)
	}
	defer resp.Body.Close()
	err = w.client.Answer(ctx, w.service, m, client.Answer{Status: resp.StatusCode, Header: resp.Header, Length: lengthOf(m, resp), Body: resp.Body})
	if _, ok := errors.AsType[*client.Failure](err); err == nil || ok {
		return err
	}
	// The response broke. If nothing of it has reached the caller, the call still waits for an answer.
	_ = w.refuse(ctx, m, http.StatusBadGateway, "the response of the worker's web server broke", err)
	return err
}

// lengthOf returns the length of the answer that a response makes. An answer to HEAD has none, whatever its header says.
func lengthOf(m *client.Incoming, resp *http.Response) int64 {
	if m.Method() == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return 0
	}
	return resp.ContentLength
}

// refuse answers a request that the web server did not answer with a text for the caller, and returns why.
func (w *working) refuse(ctx context.Context, m *client.Incoming, status int, text string, why error) error {
	io.Copy(io.Discard, m.Body) // an answer waits until the request has arrived
	text = http.StatusText(status) + ": " + text + "\n"
	return cmp.Or(w.client.Answer(ctx, w.service, m, client.Answer{
		Status: status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Length: int64(len(text)),
		Body:   strings.NewReader(text),
	}), why)
}
