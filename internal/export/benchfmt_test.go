package export

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
)

// readBenchfmt reads with the reader of benchstat; what it cannot read fails the test.
func readBenchfmt(t *testing.T, doc []byte) (out []*benchfmt.Result) {
	t.Helper()
	in := benchfmt.NewReader(bytes.NewReader(doc), "export")
	for in.Scan() {
		switch r := in.Result().(type) {
		case *benchfmt.Result:
			out = append(out, r.Clone())
		default:
			t.Errorf("%T: %v\n%s", r, r, doc)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func nearest(sorted []int64, q float64) int64 { return sorted[int(q*float64(len(sorted)))] }

// What benchstat's own reader makes of the lines: names are kept apart, also those that end in a number, times come in seconds,
// and a quantile that would be the largest answer is not there.
func TestBenchfmtIsReadByBenchstat(t *testing.T) {
	times := make([]int64, 100)
	for i := range times {
		times[i] = int64(i+1) * 1_000_000
	}
	var b bytes.Buffer
	err := Benchfmt(&b, "Latency", "target", [][2]string{{"run", "20261122t071502z-x"}, {"label-linkerd", "2.18\nBenchmarkEvil 1 1 ns/op"}}, []Replicate{
		{Name: "svc/app-1", Took: times, Sent: 104, Lost: 4},
		{Name: "svc/app-2", Took: times[:20], Sent: 20},
		{Name: "svc/app-2", Parts: "/rate=50", Took: times[:5], Sent: 5},
		{Name: "svc/app-3", Sent: 9, Lost: 9},
		{Name: "a b\u202e\n/-4", Took: times[:2], Sent: 2},
	}, nearest)
	if err != nil {
		t.Fatal(err)
	}
	got := readBenchfmt(t, b.Bytes())
	if len(got) != 4 {
		t.Fatalf("%d results:\n%s", len(got), b.String())
	}
	first := got[0]
	if v, ok := first.Value("p50-latency-sec"); !ok || math.Abs(v-0.051) > 1e-12 || first.Iters != 100 {
		t.Errorf("p50 %v %v of %d answers", v, ok, first.Iters)
	}
	if v, ok := first.Value("p99-latency-sec"); !ok || math.Abs(v-0.1) > 1e-12 {
		t.Errorf("p99 %v %v", v, ok)
	}
	if v, ok := first.Value("lost/sent"); !ok || v < 0.038 || v > 0.039 {
		t.Errorf("lost %v %v", v, ok)
	}
	if _, ok := got[1].Value("p99-latency-sec"); ok {
		t.Error("of 20 answers there is a p99")
	}
	if _, ok := got[2].Value("p90-latency-sec"); ok {
		t.Error("of 5 answers there is a p90")
	}
	if first.GetConfig("run") != "20261122t071502z-x" || !strings.HasPrefix(first.GetConfig("label-linkerd"), "2.18Benchmark") {
		t.Errorf("run %q, label %q", first.GetConfig("run"), first.GetConfig("label-linkerd"))
	}
	var names []string
	for _, r := range got {
		base, parts := r.Name.Parts()
		name := string(base)
		for _, p := range parts {
			name += string(p)
		}
		names = append(names, name)
	}
	want := []string{"Latency/target=svc:app-1-1", "Latency/target=svc:app-2-1", "Latency/target=svc:app-2/rate=50-1", "Latency/target=a_b__:-4-1"}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}
