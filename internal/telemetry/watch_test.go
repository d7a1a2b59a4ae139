package telemetry

import (
	"bytes"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/splitbench/splitbench/internal/report"
)

func half() *report.Interval {
	low, high := 0.47, 0.53
	return &report.Interval{Low: &low, High: &high, Level: 0.99}
}

// Prometheus' parser reads what a watch has seen at any time of it, with names as they are and with hostile ones.
func TestPrometheusReadsAWatch(t *testing.T) {
	lnE := -0.5
	hostile := "a\"b\\c\nd\x00\xff{}é"
	for name, c := range map[string]struct {
		watch   report.Watch
		outcome string
		up      bool
		low     int // lines of low ends
	}{
		"before the first look": {report.Watch{}, "", false, 0},
		"on its way": {report.Watch{
			Requests: 900, Lost: 3, Looks: 12, LnE: &lnE, SetAside: 7, GapCount: 2, GapTime: 4.5, Memory: 5e7,
			Backends: []report.WatchedPart{{Backend: "podinfo", Weight: 50, Observed: 440, Interval: half()}, {Backend: "podinfo-east", Weight: 50, Observed: 460, Interval: half()}},
		}, report.Pass, true, 2},
		"in a gap": {report.Watch{Looks: 1, GapCount: 1, Backends: []report.WatchedPart{{Backend: "podinfo", Observed: 1}}}, report.Inconclusive, false, 0},
		"hostile":  {report.Watch{Backends: []report.WatchedPart{{Backend: hostile, Observed: 1, Interval: half()}, {Backend: hostile + "2", Observed: 2}}}, report.Fail, true, 1},
	} {
		var b bytes.Buffer
		of := WatchedSplit{Namespace: "test", Split: "ts/podinfo", Watch: c.watch, Outcome: c.outcome, Up: c.up}
		if err := WriteWatches(&b, Watches{Splits: []WatchedSplit{of}}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, ended := strings.CutSuffix(b.String(), "# EOF\n")
		if !ended {
			t.Errorf("%s: it has no end:\n%s", name, b.String())
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		gauge := func(family string) float64 { return families[family].GetMetric()[0].GetGauge().GetValue() }
		up := 0.0
		if c.up {
			up = 1
		}
		if gauge("splitbench_watch_up") != up || (gauge("splitbench_watch_passed") == 1) != (c.outcome == report.Pass) || (gauge("splitbench_watch_failed") == 1) != (c.outcome == report.Fail) {
			t.Errorf("%s:\n%s", name, text)
		}
		// OpenMetrics names the family of a counter without _total, its lines with it.
		if !strings.Contains(text, "# TYPE splitbench_watch_looks counter\n") || !strings.Contains(text, "\nsplitbench_watch_looks_total{namespace=\"test\",split=\"ts/podinfo\"} ") {
			t.Errorf("%s: looks are no counter of OpenMetrics:\n%s", name, text)
		}
		if got := len(families["splitbench_watch_share_low_ratio"].GetMetric()); got != c.low {
			t.Errorf("%s: %d low ends, want %d", name, got, c.low)
		}
		for i, m := range families["splitbench_watch_requests_total"].GetMetric() {
			want := c.watch.Backends[i]
			if m.GetUntyped().GetValue() != float64(want.Observed) || name != "hostile" && labelOf(m, "backend") != want.Backend {
				t.Errorf("%s: %v, want %+v", name, m, want)
			}
		}
		if strings.ContainsAny(text, "\x00") || strings.Count(text, "\n") != strings.Count(strings.TrimRight(text, "\n"), "\n")+1 {
			t.Errorf("%s: broken lines:\n%q", name, text)
		}
	}
}
