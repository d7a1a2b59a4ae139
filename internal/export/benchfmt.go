package export

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/splitbench/splitbench/attack"
)

// benchWindows is how many lines a backend gets: each window of time is one measurement, because the requests of one
// moment are not independent. benchstat wants six at least.
const benchWindows = 20

// benchQuantiles are in the lines beside the mean.
const (
	benchMedian = 0.5
	benchTail   = 0.9
	benchFar    = 0.99
)

// Benchfmt writes what `go test -bench` would, for benchstat: a line for each backend and window of time, with the mean and
// quantiles of the latencies in nanoseconds. Requests without an answer and answers of status 500 and above are left out,
// as benchmarks know no errors. A quantile that a window is too small for is left out of all lines of its backend. The
// samples are held in memory, 16 bytes each. Errors are w's, ErrOptions, ErrSamples and the first of results.
func Benchfmt(w io.Writer, f Facts, o Options, results iter.Seq2[attack.Result, error]) error {
	if err := f.validate(o); err != nil {
		return err
	}
	times, last, err := f.collect(o, results)
	if err != nil {
		return fmt.Errorf("export run %s: %w", f.Run, err)
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "run: %s\nstarted: %s\nclock: %s\n", benchValue(f.Run), f.Started.UTC().Format(time.RFC3339), cmp.Or(o.Clock, ResponseTime))
	for _, k := range slices.Sorted(maps.Keys(f.Labels)) {
		if name := benchKey(k); name != "" {
			fmt.Fprintf(out, "%s: %s\n", name, benchValue(f.Labels[k]))
		}
	}
	for i, name := range f.Backends {
		writeBench(out, name, times[i], last)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export run %s: %w", f.Run, err)
	}
	return nil
}

// timed is when an answer was due or sent, and how long it took.
type timed struct{ at, took time.Duration }

// collect keeps the answers of each backend, and the latest instant.
func (f Facts) collect(o Options, results samples) (times [][]timed, last time.Duration, err error) {
	times = make([][]timed, len(f.Backends))
	for r, err := range results {
		if err != nil {
			return nil, 0, err
		}
		if _, err := f.backend(r); err != nil {
			return nil, 0, err
		}
		last = max(last, o.instant(r))
		if r.Backend != attack.Unattributed && r.Err == attack.OK && r.Status < 500 {
			times[r.Backend] = append(times[r.Backend], timed{o.instant(r), o.latency(r)})
		}
	}
	return times, last, nil
}

func writeBench(w io.Writer, backend string, times []timed, last time.Duration) {
	windows := make([][]time.Duration, benchWindows)
	length := last/benchWindows + 1
	for _, t := range times {
		i := min(max(int(t.at/length), 0), benchWindows-1)
		windows[i] = append(windows[i], t.took)
	}
	windows = slices.DeleteFunc(windows, func(d []time.Duration) bool { return len(d) == 0 })
	smallest := len(times)
	for _, d := range windows {
		smallest = min(smallest, len(d))
	}
	for _, d := range windows {
		slices.Sort(d)
		var sum time.Duration
		for _, x := range d {
			sum += x
		}
		fmt.Fprintf(w, "BenchmarkAnswer/backend=%s %d %.1f ns/op", benchValue(backend), len(d), float64(sum)/float64(len(d)))
		for _, q := range []float64{benchMedian, benchTail, benchFar} {
			if float64(smallest)*(1-q) >= 1 { // else it would be the maximum under another name
				fmt.Fprintf(w, " %d p%.0f-ns", quantile(d, q), 100*q)
			}
		}
		fmt.Fprintln(w)
	}
}

// quantile is of type 1: a value that was measured.
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(q*float64(len(sorted))+1-1e-9) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// benchKey is a configuration key as benchmarks may have it, in lower case and without a space; empty where nothing is left.
func benchKey(k string) string {
	k = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.', r == '/':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, k)
	if k == "" || k[0] < 'a' || k[0] > 'z' {
		return ""
	}
	return "label/" + k
}

// benchValue keeps one line one line and one word one word.
func benchValue(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.IsSpace(r) {
			return '_'
		}
		return r
	}, s)
}
