package export

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// fortioRun is fortio's saved result, as its own report page reads it: HTTPRunnerResults of fortio v1.75.3. Times are in
// seconds but ActualDuration, which is in nanoseconds.
type fortioRun struct {
	RunType                 string
	Labels                  string
	StartTime               time.Time
	RequestedQPS            string
	RequestedDuration       string
	ActualQPS               float64
	ActualDuration          time.Duration
	NumThreads              int
	Version                 string
	DurationHistogram       *fortioHistogram
	ErrorsDurationHistogram *fortioHistogram
	Exactly                 int64
	ID                      string
	RetCodes                map[string]int64
	URL                     string
	SocketCount             int64
}

type fortioHistogram struct {
	Count       int64
	Min         float64
	Max         float64
	Sum         float64
	Avg         float64
	StdDev      float64
	Data        []fortioBucket
	Percentiles []fortioPercentile `json:",omitempty"`
}

type fortioBucket struct {
	Start, End, Percent float64
	Count               int64
}

type fortioPercentile struct{ Percentile, Value float64 }

// Fortio writes one JSON document as `fortio load -json` does, which its report page and `fortio report` show. The buckets
// grow by a tenth each; percentiles are those of the samples, not of the buckets. As in fortio, errors are in both
// histograms. A request without an answer has code -1. The latencies are held in memory, 8 bytes each. Errors are w's,
// ErrOptions, ErrSamples and the first of results.
func Fortio(w io.Writer, f Facts, o Options, results iter.Seq2[attack.Result, error]) error {
	if err := f.validate(o); err != nil {
		return err
	}
	var all, failed []time.Duration
	var first, last time.Duration
	codes, backends := map[string]int64{}, map[string]int64{}
	for r, err := range results {
		if err != nil {
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
		name, err := f.backend(r)
		if err != nil {
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
		if len(all) == 0 || r.Sent < first {
			first = r.Sent
		}
		last = max(last, r.Done)
		all = append(all, o.latency(r))
		backends[name]++
		code := strconv.Itoa(int(r.Status))
		if r.Err != attack.OK {
			code = "-1"
		}
		codes[code]++
		if errorText(r) != "" {
			failed = append(failed, o.latency(r))
		}
	}
	length := last - first
	out := fortioRun{
		RunType: "HTTP", StartTime: f.Started.UTC(), RequestedDuration: "exactly " + strconv.Itoa(len(all)) + " calls",
		RequestedQPS: strconv.FormatFloat(f.RatePerSecond, 'g', -1, 64), ActualDuration: length, NumThreads: f.Connections,
		Version: "splitbench " + f.Tool, Exactly: int64(len(all)), ID: f.Run, RetCodes: codes, URL: f.URL, SocketCount: int64(f.Connections),
		DurationHistogram: histogram(all), ErrorsDurationHistogram: histogram(failed), Labels: fortioLabels(f, backends, len(all)),
	}
	if length > 0 {
		out.ActualQPS = float64(len(all)) / length.Seconds()
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("export run %s: %w", f.Run, err)
	}
	return nil
}

// fortioLabels is the one line that fortio shows of a run: what no other field can say.
func fortioLabels(f Facts, backends map[string]int64, all int) string {
	parts := []string{f.Run}
	for _, name := range slices.Sorted(maps.Keys(backends)) {
		parts = append(parts, fmt.Sprintf("%s %.1f%%", name, 100*float64(backends[name])/float64(all)))
	}
	for _, k := range slices.Sorted(maps.Keys(f.Labels)) {
		parts = append(parts, k+"="+f.Labels[k])
	}
	return strings.Join(parts, " ")
}

// bucketGrowth is how much wider each bucket is than the one before.
const bucketGrowth = 1.1

func histogram(times []time.Duration) *fortioHistogram {
	h := &fortioHistogram{Count: int64(len(times)), Data: []fortioBucket{}}
	if len(times) == 0 {
		return h
	}
	slices.Sort(times)
	h.Min, h.Max = times[0].Seconds(), times[len(times)-1].Seconds()
	for _, t := range times {
		h.Sum += t.Seconds()
	}
	h.Avg = h.Sum / float64(len(times))
	squares := 0.0
	for _, t := range times {
		d := t.Seconds() - h.Avg
		squares += d * d
	}
	h.StdDev = math.Sqrt(squares / float64(len(times)))
	for at := 0; at < len(times); {
		start := times[at]
		end := max(time.Duration(float64(start)*bucketGrowth), start+time.Microsecond)
		next, _ := slices.BinarySearch(times, end+1)
		if next == len(times) {
			end = times[len(times)-1]
		}
		h.Data = append(h.Data, fortioBucket{
			Start: start.Seconds(), End: end.Seconds(), Count: int64(next - at), Percent: 100 * float64(next) / float64(len(times)),
		})
		at = next
	}
	for _, p := range []float64{50, 75, 90, 99, 99.9} {
		h.Percentiles = append(h.Percentiles, fortioPercentile{p, quantile(times, p/100).Seconds()})
	}
	return h
}
