package export

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
)

// Replicate is what one unit of replication measured: a round of a target, or a whole run of a backend.
type Replicate struct {
	Name  string  // of what was measured
	Parts string  // more parts of the benchmark's name, such as /rate=100
	Took  []int64 // response times of complete answers in nanoseconds, ascending
	Sent  int64
	Lost  int64 // no answer, or one of status 500 and above
}

// Benchfmt writes one line for each replicate, in the Go benchmark format that benchstat reads:
//
//	BenchmarkLatency/target=svc:podinfo-east-1 98 3100000 p50-latency-ns 5200000 p90-latency-ns 0 lost/sent
//
// The number after the name is that of the answers. benchmark is a word such as Latency, key what its names are of,
// config what holds for all lines. A quantile that would be the largest answer is left out, and so is a replicate
// without an answer: a line without times would say that there were none. Errors are those of w.
func Benchfmt(
	w io.Writer, benchmark, key string, config [][2]string, replicates []Replicate,
	quantile func(sorted []int64, q float64) int64,
) error {
	out := bufio.NewWriter(w)
	for _, c := range config {
		fmt.Fprintf(out, "%s: %s\n", c[0], oneLine(c[1]))
	}
	fmt.Fprintln(out)
	for _, r := range replicates {
		if len(r.Took) == 0 {
			continue
		}
		// The end says that it does not depend on GOMAXPROCS; without it app-2 would be app on two processors.
		fmt.Fprintf(out, "Benchmark%s/%s=%s%s-1 %d", benchmark, key, benchName(r.Name), r.Parts, len(r.Took))
		for _, q := range []float64{0.5, 0.9, 0.99} {
			if float64(len(r.Took))*(1-q) >= 1-1e-9 {
				fmt.Fprintf(out, " %d p%g-latency-ns", quantile(r.Took, q), math.Round(100*q))
			}
		}
		if r.Sent > 0 {
			fmt.Fprintf(out, " %g lost/sent", float64(r.Lost)/float64(r.Sent))
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// oneLine keeps a value of the format's own lines: it ends at the line's end.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// benchName is a part of a benchmark's name: no spaces, and no slash, which the format reads as the next part.
func benchName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return ':'
		case unicode.IsSpace(r) || !unicode.IsPrint(r):
			return '_'
		}
		return r
	}, s)
}
