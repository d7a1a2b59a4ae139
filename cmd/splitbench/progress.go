package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// talk returns where messages go: stderr, or nowhere with --quiet.
func (a *app) talk() io.Writer {
	if a.quiet {
		return io.Discard
	}
	return a.toStderr()
}

func (a *app) toStderr() io.Writer { return lockedWriter{a.stderr, &a.telling} }

// lockedWriter writes one thing after the other: requests to API servers, which go side by side, are told with -v.
type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// progress shows how far a run is: a bar on a terminal, else one line per phase.
type progress struct {
	w        io.Writer
	terminal bool
	phase    string
	bar      *progressbar.ProgressBar
	live     bool // a line is being written over
}

func (a *app) newProgress() *progress {
	moving := isTerminal(a.stderr) && a.getenv("TERM") != "dumb" && a.getenv("CI") == ""
	return &progress{w: a.talk(), terminal: moving && !a.quiet}
}

func (p *progress) show(x bench.Progress) {
	if x.Text != "" && x.Text != p.phase {
		p.phase = x.Text
		p.end()
		fmt.Fprintf(p.w, "splitbench: %s\n", untrusted.Safe(x.Text))
	}
	if !p.terminal || x.Planned == 0 && x.Live == "" {
		return
	}
	if x.Live != "" {
		fmt.Fprintf(p.w, "\r\033[K%s", untrusted.Safe(x.Live)) // one line that is written over
		p.live = true
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(int64(x.Planned), progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	}
	p.bar.Set64(int64(min(x.Requests, x.Planned))) //nolint:errcheck // a bar that cannot be drawn must not end a run
}

// describe sets the text beside the bar.
func (p *progress) describe(text string) {
	if p.bar != nil {
		p.bar.Describe(text)
	}
}

func (p *progress) end() {
	if p.live {
		fmt.Fprintln(p.w)
		p.live = false
	}
	if p.bar != nil {
		p.bar.Clear() //nolint:errcheck // as above
		p.bar = nil
	}
}

// say prints a message to stderr, unless --quiet.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.talk(), "splitbench: %s\n", a.asCalled(fmt.Sprintf(format, args...)))
}

// warn prints a problem to stderr, even with --quiet.
func (a *app) warn(format string, args ...any) {
	for line := range strings.Lines(a.asCalled(fmt.Sprintf(format, args...))) {
		fmt.Fprintf(a.toStderr(), "splitbench: %s\n", untrusted.Printable(strings.TrimRight(line, "\r\n")))
	}
}
