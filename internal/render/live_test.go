package render

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/splitbench/splitbench/internal/report"
)

func ptr[T any](v T) *T { return &v }

func someTimes(ms float64) report.Quantiles {
	return report.Quantiles{P50Ms: ptr(ms), P90Ms: ptr(2 * ms), P99Ms: ptr(9 * ms)}
}

// facts are those of a run, one of whose backends has a name that no API server allows, and of a comparison.
func facts() map[string]report.Live {
	run := report.Live{
		Elapsed: 12340 * time.Millisecond, Left: 35660 * time.Millisecond, Requests: 617, Planned: 2400,
		Failures: "dial: 3, status 503: 2", FailedNow: 1, Times: someTimes(1.25), SendLagP99Us: ptr(180.0),
		Parts: []report.LivePart{
			{
				Name: "podinfo", Weight: ptr(0.5), Observed: 312, Share: ptr(0.5106), Now: 26,
				Range: &report.Interval{Low: ptr(0.4312), High: ptr(0.5897)},
			},
			{Name: "podinfo-\x1b[2Jéast\u202e", Weight: ptr(0.5), Observed: 299, Share: ptr(0.4894), Now: 24},
		},
	}
	few := report.Live{Elapsed: 300 * time.Millisecond, Planned: 2400, Parts: []report.LivePart{
		{Name: "podinfo", Weight: ptr(1.0)}, {Name: "podinfo-east", Weight: ptr(0.0)},
	}}
	return map[string]report.Live{"run": run, "few": few, "latency": {
		Elapsed: 70 * time.Second, Requests: 4000, Times: someTimes(3), SendLagP99Us: ptr(1234.0),
		Parts: []report.LivePart{
			{Name: "svc/podinfo", Observed: 2000, Now: 100, Times: ptr(someTimes(1))},
			{Name: "svc/podinfo-east", Observed: 2000, Now: 100, Times: ptr(someTimes(21))},
		},
	}}
}

// What is shown of a measurement under way fits terminals of any width, with nothing on it that they would obey.
func TestGoldenLive(t *testing.T) {
	for name, l := range facts() {
		for _, width := range []int{20, 80, 132} {
			lines := Fit(asText(t, l.Outline(), TextOptions{Width: width}), width, 40)
			text := strings.Join(lines, "\n") + "\n"
			golden(t, fmt.Sprintf("live-%s-%d.txt", name, width), []byte(text))
			for _, line := range lines {
				if textWidth(line) > width || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%s in %d columns: %q", name, width, line)
				}
			}
		}
		if text := asText(t, l.Outline(), TextOptions{ASCII: true}); strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%s: not ASCII: %q", name, text)
		}
	}
}

// A terminal that is low has no room for gaps, then for bars, then for what matters less.
func TestFitTakesWhatMattersMost(t *testing.T) {
	text := asText(t, facts()["run"].Outline(), TextOptions{Width: 80})
	whole := strings.Count(text, "\n")
	for height := range whole + 2 {
		lines := Fit(text, 80, height)
		if len(lines) > max(height, 1) || !strings.HasPrefix(lines[0], "12s, 36s left") {
			t.Errorf("%d lines in %d, first %q", len(lines), height, lines[0])
		}
		if height >= 4 && height < whole && !strings.HasPrefix(lines[2], "podinfo ") {
			t.Errorf("in %d: %q", height, lines)
		}
	}
}

func TestLiveLine(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"run", "few", "latency"} {
		b.WriteString(printable(facts()[name].Line()) + "\n")
	}
	golden(t, "live-lines.txt", []byte(b.String()))
}
