package cli

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// turnInterval is how often a bar is drawn when no bytes move.
const turnInterval = 150 * time.Millisecond

// A progress shows the progress of a transfer on a terminal. A nil one shows nothing.
type progress struct {
	w io.Writer

	mu    sync.Mutex               // guards the rest
	bar   *progressbar.ProgressBar // nil: nothing is shown; its methods are called only with the lock
	state string                   // text beside the bar
	count int64                    // bytes since begin
}

// newProgress returns a progress that shows on w, or nil if w is not a terminal.
func newProgress(w io.Writer) *progress {
	if !IsTerminal(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &progress{w: w}
}

// newBar returns a bar for so many bytes or, for less than 1, a spinner.
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
		// The library would turn the wheel on a goroutine that never ends and that Clear races with: turn does it.
		progressbar.OptionSetSpinnerChangeInterval(0),
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
	p.count = 0
	p.show(state, size)
}

// show shows a new bar. The caller has the lock.
func (p *progress) show(state string, size int64) {
	p.bar, p.state = newBar(p.w, state, size), escape(state)
	p.bar.RenderBlank()
	go p.turn(p.bar)
}

// turn draws a bar from time to time, until it is replaced or removed.
func (p *progress) turn(bar *progressbar.ProgressBar) {
	for {
		time.Sleep(turnInterval)
		p.mu.Lock()
		if p.bar != bar {
			p.mu.Unlock()
			return
		}
		bar.Describe(p.state)
		p.mu.Unlock()
	}
}

// say changes the text beside the bar. It replaces a full bar by a spinner.
func (p *progress) say(state string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.bar == nil:
	case p.bar.IsFinished():
		p.show(state, -1)
	default:
		p.state = escape(state)
		p.bar.Describe(p.state)
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

// A counter is a reader that adds the bytes it reads to a progress.
type counter struct {
	io.ReadCloser
	progress *progress
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.progress.add(n)
	return n, err
}
