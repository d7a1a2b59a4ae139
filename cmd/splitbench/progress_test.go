package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/creack/pty"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// liveAt is a split's facts at some time; the name of one of its backends has been chosen to harm terminals.
func liveAt(elapsed time.Duration) bench.Progress {
	half, low, high := 0.5, 0.4312, 0.5897
	return bench.Progress{Live: &report.Live{Elapsed: elapsed, Planned: 2400, Requests: 600, Parts: []report.LivePart{
		{Name: "podinfo", Weight: &half, Share: &half, Observed: 300, Range: &report.Interval{Low: &low, High: &high}},
		{Name: "podinfo-\x1b[2J\u202eéast", Weight: &half, Share: &half, Observed: 300},
	}}}
}

func environment(set map[string]string) func(string) string {
	return func(name string) string { return set[name] }
}

// Without a terminal there is a line every ten seconds, however often there are facts.
func TestALineEveryTenSeconds(t *testing.T) {
	var out bytes.Buffer
	p := (&app{surroundings: surroundings{stderr: &out, getenv: environment(nil)}}).newProgress()
	p.show(bench.Progress{Text: "sending"})
	for _, s := range []float64{0.3, 1.3, 9.9, 10.4, 11.4, 19.9, 20.1, 45, 46, 50.2} {
		p.show(liveAt(time.Duration(s * float64(time.Second))))
	}
	p.end()
	want := "splitbench: sending\n"
	for _, at := range []string{"10s", "20s", "45s", "50s"} {
		want += "splitbench: " + at + `: 600 of 2,400 requests; podinfo 50% (weight 50%, range so far 43.1-59.0%); ` +
			`podinfo-\x1b[2J\u{202e}éast 50% (weight 50%); errors none; answers p50 -, p90 -, p99 -` + "\n"
	}
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// tty is a terminal of a size, and an app whose messages go there.
func tty(t *testing.T, columns uint16, env map[string]string) (*app, *os.File, *terminal) {
	t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	resizeTo(t, ours, columns)
	return &app{surroundings: surroundings{stderr: theirs, getenv: environment(env)}}, ours, newTerminal(ours)
}

func resizeTo(t *testing.T, ours *os.File, columns uint16) {
	t.Helper()
	if err := pty.Setsize(ours, &pty.Winsize{Rows: 40, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

var erased = regexp.MustCompile(`\x1b\[(\d+)A\x1b\[J`)

// framesOf are the texts between which lines were erased, and how many lines each time. Nothing else that a terminal
// obeys may stand in them.
func framesOf(t *testing.T, written string, ascii bool) (frames []string, rows []int) {
	t.Helper()
	for _, m := range erased.FindAllStringSubmatch(written, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, n)
	}
	frames = erased.Split(written, -1)
	for _, f := range frames {
		for _, r := range strings.ReplaceAll(f, "\r\n", "") {
			if !unicode.IsPrint(r) || ascii && r > unicode.MaxASCII {
				t.Errorf("%U on the terminal: %q", r, f)
			}
		}
	}
	return frames, rows
}

func fits(t *testing.T, frame string, columns int) {
	t.Helper()
	for line := range strings.SplitSeq(frame, "\r\n") {
		if n := utf8.RuneCountInString(line); n >= columns {
			t.Errorf("%d columns in a terminal of %d: %q", n, columns, line)
		}
	}
}

// The facts stand below all messages, are drawn over by those that follow, and are gone at the end, in terminals of any
// width. Each time as many lines are taken away as were drawn.
func TestLiveViewOnATerminal(t *testing.T) {
	for _, columns := range []uint16{20, 80, 132} {
		for _, locale := range []string{"C", "C.UTF-8"} {
			t.Run(fmt.Sprint(columns, locale), func(t *testing.T) {
				a, _, screen := tty(t, columns, map[string]string{"LANG": locale, "NO_COLOR": "1"})
				p := a.newProgress()
				p.show(liveAt(time.Second))
				a.say("look")
				p.show(liveAt(2 * time.Second))
				p.end()
				a.say("done")
				screen.await(t, "done")
				frames, rows := framesOf(t, screen.text(), locale == "C")
				if len(frames) != 4 {
					t.Fatalf("%d frames: %q", len(frames), frames)
				}
				for i, n := range rows {
					drawn := strings.Count(strings.TrimPrefix(frames[i], "splitbench: look\r\n"), "\r\n")
					if n != drawn || n < 5 {
						t.Errorf("%d lines drawn and %d taken away: %q", drawn, n, frames[i])
					}
					fits(t, frames[i], int(columns))
				}
				if !strings.HasPrefix(frames[1], "splitbench: look\r\n1s: 600") || !strings.HasPrefix(frames[2], "2s: 600") ||
					frames[3] != "splitbench: done\r\n" {
					t.Errorf("%q", frames)
				}
			})
		}
	}
}

// A terminal that gets narrower breaks the lines that stand on it: as many rows as these take are taken away, and the
// facts are drawn anew without waiting for new ones.
func TestLiveViewSurvivesResizing(t *testing.T) {
	a, ours, screen := tty(t, 80, map[string]string{"LANG": "C.UTF-8"})
	p := a.newProgress()
	p.show(liveAt(time.Second))
	drawn := 1
	for _, columns := range []uint16{20, 132} {
		resizeTo(t, ours, columns)
		screen.awaitTimes(t, "\x1b[J", drawn) // by nobody's asking
		p.show(liveAt(2 * time.Second))
		drawn += 2
		screen.awaitTimes(t, "\x1b[J", drawn-1)
		frames, rows := framesOf(t, screen.text(), false)
		fits(t, frames[drawn-2], int(columns))
		broken := 0
		for line := range strings.SplitSeq(strings.TrimSuffix(frames[drawn-3], "\r\n"), "\r\n") {
			broken += 1 + max(0, utf8.RuneCountInString(line)-1)/int(columns)
		}
		if got := rows[drawn-3]; got != broken {
			t.Errorf("in %d columns %d rows were taken away, there were %d", columns, got, broken)
		}
	}
	p.end()
}

// The program itself on terminals: what a run finds is shown while it sends, and the report follows where that was.
func TestARunShowsWhatItFinds(t *testing.T) {
	t.Parallel()
	a, _, screen := tty(t, 80, nil)
	env := environment(map[string]string{"LANG": "C.UTF-8", "HOME": t.TempDir()})
	var out bytes.Buffer
	code := run(context.Background(), []string{"splitbench", "demo", "--requests", "1500", "--rate", "500", "--results-dir", t.TempDir()},
		surroundings{stdin: strings.NewReader(""), stdout: &out, stderr: a.stderr, getenv: env})
	if code == report.ExitBug {
		t.Fatalf("exit code %d: %s", code, screen.text())
	}
	a.say("over")
	screen.await(t, "over")
	frames, _ := framesOf(t, screen.text(), false)
	for _, want := range []string{"podinfo-east   50.0%", "of 1,500 requests", "Errors", "p99", "of the plan", "left: "} {
		if !strings.Contains(strings.Join(frames[:len(frames)-1], ""), want) {
			t.Errorf("%q is not shown: %q", want, frames)
		}
	}
	if strings.Contains(frames[len(frames)-1], "BACKEND") || strings.Contains(screen.text(), "so far pass") {
		t.Errorf("at the end: %q", frames[len(frames)-1])
	}
}
