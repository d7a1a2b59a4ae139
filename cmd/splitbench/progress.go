package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/cupwriter"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// talk returns where messages go: stderr, or nowhere with --quiet.
func (a *app) talk() io.Writer {
	if a.quiet {
		return io.Discard
	}
	return a.toStderr()
}

func (a *app) toStderr() io.Writer { return messages{a} }

// messages are written one after the other, above what is shown of a measurement under way: requests to API servers,
// which go side by side, are told with -v.
type messages struct{ a *app }

func (m messages) Write(p []byte) (int, error) {
	m.a.telling.Lock()
	defer m.a.telling.Unlock()
	if m.a.screen != nil {
		return len(p), m.a.screen.draw(string(p))
	}
	return m.a.stderr.Write(p)
}

// Times at which something is told that did not change by itself.
const (
	lineEvery = 10 * time.Second
	lookEvery = 200 * time.Millisecond // at the size of the terminal
)

// progress shows what a measurement has found so far: below all messages on a terminal, else in a line now and then.
type progress struct {
	*app
	moving bool
	phase  string
	due    time.Duration // of the next line
	ended  chan struct{}
	drawn  sync.WaitGroup
}

func (a *app) newProgress() *progress {
	moving := isTerminal(a.stderr) && a.getenv("TERM") != "dumb" && a.getenv("CI") == ""
	return &progress{app: a, moving: moving && !a.quiet, due: lineEvery, ended: make(chan struct{})}
}

func (p *progress) show(x bench.Progress) {
	if x.Text != "" && x.Text != p.phase {
		p.phase = x.Text
		fmt.Fprintf(p.talk(), "splitbench: %s\n", untrusted.Safe(x.Text))
	}
	switch {
	case x.Live == nil:
	case p.moving:
		p.draw(*x.Live)
	case x.Live.Elapsed >= p.due:
		p.due = x.Live.Elapsed.Truncate(lineEvery) + lineEvery
		fmt.Fprintf(p.talk(), "splitbench: %s\n", untrusted.Printable(x.Live.Line()))
	}
}

// draw shows facts until the next ones, at whatever size the terminal has meanwhile.
func (p *progress) draw(l report.Live) {
	p.telling.Lock()
	defer p.telling.Unlock()
	if p.screen == nil {
		p.screen = &screen{Writer: cupwriter.New(p.stderr, false), ascii: !p.unicode(p.stderr)}
		p.drawn.Go(p.resize)
	}
	p.screen.live = l
	p.screen.draw("") //nolint:errcheck // a terminal that is gone must not end a run
}

// resize draws anew where the terminal has another size.
func (p *progress) resize() {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.telling.Lock()
			if p.screen.resized() {
				p.screen.draw("") //nolint:errcheck // as above
			}
			p.telling.Unlock()
		case <-p.ended:
			return
		}
	}
}

// end takes away what is shown.
func (p *progress) end() {
	close(p.ended)
	p.drawn.Wait()
	p.telling.Lock()
	defer p.telling.Unlock()
	if p.screen != nil {
		p.screen.WriteTo(p.stderr) //nolint:errcheck // as above
		p.screen = nil
	}
}

// screen is the last lines of a terminal, which are drawn over. Its buffer begins with what takes them away.
type screen struct {
	*cupwriter.Writer
	ascii         bool
	live          report.Live
	lines         []string // that are drawn
	width, height int
}

func (s *screen) resized() bool {
	width, height, err := s.GetTermSize()
	return err == nil && (width != s.width || height != s.height)
}

// draw draws the lines anew, below a message that stays.
func (s *screen) draw(message string) error {
	width, height, err := s.GetTermSize()
	if err != nil {
		return err
	}
	if width < s.width { // the terminal broke lines that were too long for it
		rows := 0
		for _, line := range s.lines {
			rows += 1 + max(0, utf8.RuneCountInString(line)-1)/width
		}
		s.Reset()
		fmt.Fprintf(s, "\x1b[%dA\x1b[J", rows)
	}
	s.WriteString(message)
	var b bytes.Buffer
	if err := render.Text(&b, s.live.Outline(), render.TextOptions{Width: width - 1, ASCII: s.ascii}); err != nil {
		return err
	}
	s.width, s.height, s.lines = width, height, render.Fit(b.String(), width-1, height-1)
	for _, line := range s.lines {
		s.WriteString(line + "\n")
	}
	return s.Flush(len(s.lines))
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
