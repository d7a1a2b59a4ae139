package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// The consumers themselves read these formats in test/peers; here is what they would not notice.
func TestBenchfmtLines(t *testing.T) {
	f := facts
	f.Labels = map[string]string{"Change": "CHG-123\nBenchmarkForged 1 1 ns/op", "9": "x"}
	var b bytes.Buffer
	if err := Benchfmt(&b, f, Options{}, seq(burst())); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^BenchmarkAnswer/backend=podinfo(-east)? \d+ \d+\.\d ns/op \d+ p50-ns \d+ p90-ns \d+ p99-ns$`)
	n := 0
	for l := range strings.Lines(b.String()) {
		l = strings.TrimSuffix(l, "\n")
		switch {
		case line.MatchString(l):
			n++
		case l == "label/change: CHG-123_BenchmarkForged_1_1_ns/op", strings.HasPrefix(l, "run: "), l == "started: 2026-11-22T07:15:02Z", l == "clock: response":
		default:
			t.Errorf("line %q", l)
		}
	}
	if n != 2*benchWindows {
		t.Errorf("%d lines, want one for each of %d windows and 2 backends", n, benchWindows)
	}
}

func TestFortioCountsEverything(t *testing.T) {
	var b bytes.Buffer
	if err := Fortio(&b, facts, Options{}, seq(burst())); err != nil {
		t.Fatal(err)
	}
	var r fortioRun
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	// As in checkVegeta: 100 of 503, 30 without an answer.
	if r.DurationHistogram.Count != requests || r.ErrorsDurationHistogram.Count != 130 || r.RetCodes["503"] != 100 || r.RetCodes["-1"] != 30 {
		t.Errorf("%+v", r)
	}
	var n int64
	end := 0.0
	for _, d := range r.DurationHistogram.Data {
		n += d.Count
		if d.Start < end || d.End < d.Start {
			t.Errorf("bucket %+v begins before %v", d, end)
		}
		end = d.Start
	}
	if last := r.DurationHistogram.Data[len(r.DurationHistogram.Data)-1]; n != requests || last.Percent != 100 || last.End != r.DurationHistogram.Max {
		t.Errorf("%d in buckets, last %+v, max %v", n, last, r.DurationHistogram.Max)
	}
	if r.ActualQPS < 900 || r.ActualQPS > 1000 { // 10,000 over 10 s and up to 1 s of waiting for the last
		t.Errorf("rate %v", r.ActualQPS)
	}
}

func TestNothingSentIsExported(t *testing.T) {
	for _, write := range []func(io.Writer, Facts, Options, samples) error{Benchfmt, Fortio} {
		var b bytes.Buffer
		if err := write(&b, facts, Options{}, seq(nil)); err != nil || b.Len() == 0 {
			t.Errorf("%v, %d bytes", err, b.Len())
		}
		broken := errors.New("cut")
		cut := func(yield func(attack.Result, error) bool) { yield(attack.Result{}, broken) }
		if err := write(io.Discard, facts, Options{}, cut); !errors.Is(err, broken) {
			t.Errorf("%v, want the error of the samples", err)
		}
		if err := write(full{}, facts, Options{}, seq(burst())); !errors.Is(err, errFull) {
			t.Errorf("%v, want the writer's error", err)
		}
		if err := write(io.Discard, Facts{Run: "x", Started: time.Now()}, Options{}, seq([]attack.Result{{Backend: 3}})); !errors.Is(err, ErrSamples) {
			t.Errorf("%v, want ErrSamples", err)
		}
	}
}
