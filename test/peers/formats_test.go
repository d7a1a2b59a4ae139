package peers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fortio.org/fortio/fhttp"
	"golang.org/x/perf/benchfmt"
)

func export(t *testing.T, format, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	command(t, "../..", "go", "run", "./cmd/splitbench", "results", "export", abs(t, referenceRun(t)), "--to", format, "--out", file)
	return file
}

// TestBenchstatReadsOurExports hands the reference run to Go's own reader of benchmarks and to benchstat, compared with
// itself: there is no difference.
func TestBenchstatReadsOurExports(t *testing.T) {
	file := export(t, "benchfmt", "run.txt")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	results := 0
	r := benchfmt.NewReader(f, file)
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			results++
			if rec.GetConfig("label/reference") != "walkthrough" {
				t.Errorf("labels: %v", rec.Config)
			}
			if _, ok := rec.Value("p99-sec"); !ok {
				t.Errorf("%s has no p99: %v", rec.Name, rec.Values)
			}
		}
	}
	if err := r.Err(); err != nil || results != 40 {
		t.Errorf("%d results, %v, want 40", results, err)
	}
	table := command(t, ".", "go", "tool", "benchstat", file, file)
	for _, want := range []string{"Answer/backend=podinfo", "Answer/backend=podinfo-east", "p99-sec", "~ (p="} {
		if !strings.Contains(table, want) {
			t.Errorf("benchstat does not say %q:\n%s", want, table)
		}
	}
}

// TestFortioReadsOurExports reads the reference run into fortio's own type, and has its program draw the report.
func TestFortioReadsOurExports(t *testing.T) {
	b, err := os.ReadFile(export(t, "fortio", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r fhttp.HTTPRunnerResults
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.RetCodes[200] != 10_000 || r.DurationHistogram.Count != 10_000 || r.ActualQPS < 900 || r.URL == "" || r.StartTime.IsZero() {
		t.Errorf("%d of code 200, %d timed, %v/s, %s, %s", r.RetCodes[200], r.DurationHistogram.Count, r.ActualQPS, r.URL, r.StartTime)
	}
	if p50 := r.DurationHistogram.CalcPercentile(50); p50 < r.DurationHistogram.Percentiles[0].Value/1.15 || p50 > r.DurationHistogram.Percentiles[0].Value*1.15 {
		t.Errorf("fortio reads a median of %v s, the samples have %v s", p50, r.DurationHistogram.Percentiles[0].Value)
	}
}
