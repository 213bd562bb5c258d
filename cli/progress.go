package cli

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress shows on a terminal how far a transfer has come. One that is nil shows nothing.
type progress struct {
	w io.Writer

	mu    sync.Mutex               // guards what follows
	bar   *progressbar.ProgressBar // nil: nothing is shown
	count int64                    // bytes since begin
}

// newProgress returns a progress that shows on w, or nil if w is not a terminal.
func newProgress(w io.Writer) *progress {
	if !IsTerminal(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &progress{w: w}
}

// newBar returns a bar for so many bytes or, for less than 1, a wheel that turns.
func newBar(w io.Writer, state string, size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(max(size, -1),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(escape(state)),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSpinnerType(14),
	)
}

// begin shows the beginning of a transfer of size bytes, or of unknown size if size is less than 0.
func (p *progress) begin(state string, size int64) {
	if p == nil {
		return
	}
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	if size == 0 {
		size = -1 // the library divides by the size
	}
	p.bar, p.count = newBar(p.w, state, size), 0
	p.bar.RenderBlank()
}

// say changes what is shown beside the bar. A bar that is full gives way to a wheel.
func (p *progress) say(state string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.bar == nil:
	case p.bar.IsFinished():
		p.bar = newBar(p.w, state, -1)
		p.bar.RenderBlank()
	default:
		p.bar.Describe(escape(state))
	}
}

// clear removes the bar from the screen until it moves again, so that a line can be printed.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
	}
}

// end removes the bar.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
		p.bar.Exit()
	}
	p.bar = nil
}

// add counts bytes.
func (p *progress) add(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += int64(n)
	if p.bar != nil {
		p.bar.Add(n)
	}
}

// moved returns how many bytes were counted.
func (p *progress) moved() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// A counter adds what is read through it to a progress.
type counter struct {
	io.ReadCloser
	progress *progress
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.progress.add(n)
	return n, err
}
