package judge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

func result(i uint64, rng *rand.Rand) attack.Result {
	planned := time.Duration(i) * 100 * time.Microsecond
	sent := planned + time.Duration(rng.IntN(500))*wire.Unit
	return attack.Result{
		Seq: i, Planned: planned, Sent: sent, FirstByte: sent + time.Millisecond, Done: sent + time.Millisecond + time.Duration(rng.IntN(3000))*wire.Unit,
		Conn: int32(rng.IntN(8)), Status: 200, Backend: int16(rng.IntN(2)),
	}
}

func TestATallyOfManyStaysBoundedAndExact(t *testing.T) {
	t.Parallel()
	const n = maxTimes + maxTimes/2
	rng := rand.New(rand.NewPCG(1, 0))
	tl := NewTally(2)
	var want [2]int64
	for i := range uint64(n) {
		r := result(i, rng)
		want[r.Backend]++
		tl.Add(r)
	}
	tl.sorted()
	if tl.counts.N[0] != want[0] || tl.counts.N[1] != want[1] || tl.N != n {
		t.Errorf("counted %v, want %v", tl.counts.N, want)
	}
	if tl.stride != 2 || len(tl.lags) > maxTimes || len(tl.lags) < n/4 {
		t.Errorf("stride %d, %d times kept of %d", tl.stride, len(tl.lags), n)
	}
	if tl.ordered() || len(tl.observations) != 0 {
		t.Error("the order of more requests than allowed was kept")
	}
	// Sent up to 50 us late, evenly: the median of what was kept is near 25 us.
	if m := analyze.Quantile(tl.lags, 0.5); m < 24_000 || m > 26_000 {
		t.Errorf("median lag %d ns of the times that were kept, want about 25000", m)
	}
}

// BenchmarkStoredRun goes from the frames of ten million stored results on disk to the verdict and a report in every form.
func BenchmarkStoredRun(b *testing.B) {
	const n = 10_000_000
	path := filepath.Join(b.TempDir(), "frames.sbw")
	writeFrames(b, path, n)
	w := analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
	runtime.GC()
	b.ResetTimer()
	for range b.N {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		var totals wire.Totals
		t := NewTally(len(w))
		for r, err := range agent.NewStoredBursts(f).Next(&totals) {
			if err != nil {
				b.Fatal(err)
			}
			t.Add(r)
		}
		f.Close()
		rep := conclude(record.Manifest{Weights: w, Options: analyze.DefaultOptions()}, totals, t)
		var out bytes.Buffer
		if err := errors.Join(render.Text(&out, rep.Outline(), render.TextOptions{}), render.Markdown(&out, rep.Outline(), render.Long), report.WriteJSON(&out, rep),
			render.HTML(&out, rep.Outline(), rep), render.JUnit(&out, "splitbench", rep.Suite())); err != nil {
			b.Fatal(err)
		}
		if rep.Load.Requests != n || rep.GoodnessOfFit == nil || out.Len() > 1<<20 {
			b.Fatalf("%d requests, %d bytes rendered", rep.Load.Requests, out.Len())
		}
	}
	b.StopTimer()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
	b.ReportMetric(float64(m.Sys)/1e6, "MB-from-system")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/result")
}

func writeFrames(b *testing.B, path string, n uint64) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	out := wire.NewWriter(buffered)
	rng := rand.New(rand.NewPCG(2, 0))
	var totals wire.Totals
	var tally wire.Tally
	var batch []attack.Result
	for i := range n {
		r := result(i, rng)
		tally.Add(r)
		if batch = append(batch, r); len(batch) == 1000 || i == n-1 {
			block := wire.AppendSamples(nil, batch)
			totals.Blocks++
			totals.SamplesCRC = wire.Checksum(totals.SamplesCRC, block)
			if err := out.Write(wire.Samples, block); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	totals.Reason, totals.Requests, totals.Samples, totals.Tally = wire.ReasonDone, n, n, tally.Entries()
	payload, err := json.Marshal(totals)
	if err != nil {
		b.Fatal(err)
	}
	if err := out.Write(wire.End, payload); err != nil {
		b.Fatal(err)
	}
	if err := buffered.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTally counts one result: no allocation for each.
func BenchmarkTally(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 0))
	rs := make([]attack.Result, 4096)
	for i := range rs {
		rs[i] = result(uint64(i), rng)
	}
	t := NewTally(2)
	b.ReportAllocs()
	for i := range b.N {
		r := rs[i%len(rs)]
		r.Seq = uint64(i)
		t.Add(r)
	}
}
