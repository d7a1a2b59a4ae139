package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/splitbench/splitbench/attack"
)

var facts = Facts{
	Run: "20261122t071502z-test-podinfo-k3f9", URL: "http://podinfo.test.svc.cluster.local:9898/", Backends: []string{"podinfo", "podinfo-east"},
	Started: time.Date(2026, 11, 22, 8, 15, 2, 0, time.FixedZone("CET", 3600)),
}

const requests = 10_000

// burst is 10,000 requests at 1,000/s: most answered by one of two backends, some refused, some failed, some unknown.
// They come in the order in which they ended, as from a real burst.
func burst() []attack.Result {
	rnd := rand.New(rand.NewPCG(1, 2))
	all := make([]attack.Result, requests)
	for i := range all {
		planned := time.Duration(i) * time.Millisecond
		sent := planned + time.Duration(rnd.IntN(2000))*time.Microsecond // up to two others are planned meanwhile
		r := attack.Result{Seq: uint64(i), Planned: planned, Sent: sent, Status: 200, Backend: int16(rnd.IntN(2)), Conn: int32(i % 8)}
		r.FirstByte = sent + time.Duration(1+rnd.IntN(40_000))*time.Microsecond
		r.Done = r.FirstByte + 10*time.Microsecond
		switch {
		case i%100 == 3:
			r.Status = 503
		case i%500 == 7: // answered a second later than those after it
			r.Status, r.FirstByte, r.Backend, r.Err, r.Done = 0, 0, attack.Unattributed, attack.ErrTimeout, sent+time.Second
		case i%1000 == 11: // cut short: there was a status, but no success
			r.Err, r.Backend, r.Conn = attack.ErrProtocol, attack.Unattributed, attack.UnknownConn
		}
		all[i] = r
	}
	slices.SortStableFunc(all, func(a, b attack.Result) int { return int(a.Done - b.Done) })
	return all
}

func seq(all []attack.Result) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

type format struct {
	name  string
	write func(io.Writer, Facts, Options, iter.Seq2[attack.Result, error]) error
}

func formats() []format {
	return []format{{"gob", VegetaGob}, {"csv", VegetaCSV}, {"json", VegetaJSON}}
}

// read is what `vegeta report` does with a file.
func read(t *testing.T, file []byte) []vegeta.Result {
	t.Helper()
	decode := vegeta.DecoderFor(bytes.NewReader(file))
	if decode == nil {
		t.Fatal("vegeta does not know the format")
	}
	var all []vegeta.Result
	for {
		var r vegeta.Result
		if err := decode.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return all
			}
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

func TestVegetaReadsEveryFormat(t *testing.T) {
	t.Parallel()
	for _, f := range formats() {
		for _, o := range []Options{{}, {Clock: ServiceTime}, {PerBackend: true}, {Clock: ServiceTime, PerBackend: true}} {
			t.Run(f.name+" "+string(o.Clock)+map[bool]string{true: " per backend"}[o.PerBackend], func(t *testing.T) {
				var b bytes.Buffer
				if err := f.write(&b, facts, o, seq(burst())); err != nil {
					t.Fatal(err)
				}
				checkVegeta(t, read(t, b.Bytes()), o)
			})
		}
	}
}

func checkVegeta(t *testing.T, got []vegeta.Result, o Options) {
	t.Helper()
	if len(got) != requests {
		t.Fatalf("%d results, want %d", len(got), requests)
	}
	next, last := map[string]uint64{}, time.Time{}
	var m vegeta.Metrics
	for i := range got {
		r := &got[i]
		if r.Seq != next[r.Attack] {
			t.Fatalf("result %d of %s has Seq %d, want %d", i, r.Attack, r.Seq, next[r.Attack])
		}
		next[r.Attack]++
		if r.Timestamp.Before(last) {
			t.Fatalf("result %d is at %s, before %s", i, r.Timestamp, last)
		}
		last = r.Timestamp
		m.Add(r)
	}
	names := map[string]bool{facts.Run: true}
	if o.PerBackend {
		names = map[string]bool{facts.Run + "/podinfo": true, facts.Run + "/podinfo-east": true, facts.Run + "/" + unattributed: true}
	}
	for name := range next {
		if !names[name] {
			t.Errorf("attack %q", name)
		}
	}
	if len(next) != len(names) {
		t.Errorf("%d attacks, want %d", len(next), len(names))
	}
	m.Close()
	// 100 of 10,000 are 503 (i%100 == 3), 20 time out (i%500 == 7), 10 are cut short (i%1000 == 11); they never meet.
	if m.Requests != requests || m.StatusCodes["503"] != 100 || m.StatusCodes["0"] != 30 || m.Success != 0.987 {
		t.Errorf("vegeta report: %d requests, codes %v, success %v", m.Requests, m.StatusCodes, m.Success)
	}
	slices.Sort(m.Errors)
	if diff := cmp.Diff([]string{"protocol", "status 503", "timeout"}, m.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestLatencyIsFromTheChosenInstant(t *testing.T) {
	r := attack.Result{Planned: 5 * time.Millisecond, Sent: 8 * time.Millisecond, FirstByte: 9 * time.Millisecond, Done: 10 * time.Millisecond, Status: 200}
	for o, want := range map[Options][2]time.Duration{
		{}:                    {5 * time.Millisecond, 5 * time.Millisecond},
		{Clock: ResponseTime}: {5 * time.Millisecond, 5 * time.Millisecond},
		{Clock: ServiceTime}:  {8 * time.Millisecond, 2 * time.Millisecond},
	} {
		for v, err := range Vegeta(facts, o, seq([]attack.Result{r})) {
			if err != nil {
				t.Fatal(err)
			}
			if at := v.Timestamp.Sub(facts.Started); at != want[0] || v.Latency != want[1] || v.Timestamp.Location() != time.UTC {
				t.Errorf("%q: at %s for %s in %s, want %s for %s in UTC", o.Clock, at, v.Latency, v.Timestamp.Location(), want[0], want[1])
			}
		}
	}
}

func TestNDJSONSaysEverything(t *testing.T) {
	want := burst()
	var b bytes.Buffer
	if err := NDJSON(&b, facts, seq(want)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(&b)
	for i := 0; lines.Scan(); i++ {
		var rec Record
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&rec); err != nil {
			t.Fatal(err)
		}
		got := attack.Result{
			Seq: rec.Seq, Planned: time.Duration(rec.PlannedNs), Sent: time.Duration(rec.SentNs), Done: time.Duration(rec.DoneNs),
			Conn: attack.UnknownConn, Backend: attack.Unattributed,
		}
		if rec.FirstByteNs != nil {
			got.FirstByte = time.Duration(*rec.FirstByteNs)
		}
		if rec.Connection != nil {
			got.Conn = *rec.Connection
		}
		if rec.StatusCode != nil {
			got.Status = *rec.StatusCode
		}
		if rec.Backend != nil {
			got.Backend = int16(slices.Index(facts.Backends, *rec.Backend))
		}
		for c := attack.OK; rec.Error != nil && c.String() != *rec.Error; {
			c++
			got.Err = c
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Fatalf("line %d (-want +got):\n%s", i+1, diff)
		}
		if i == requests-1 && lines.Scan() {
			t.Fatal("there are more lines than requests")
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestBadInput(t *testing.T) {
	broken := errors.New("frame 7 is cut short")
	cut := func(yield func(attack.Result, error) bool) {
		_ = yield(attack.Result{Status: 200}, nil) && yield(attack.Result{}, broken)
	}
	one := seq([]attack.Result{{Status: 200}})
	for name, c := range map[string]struct {
		facts   Facts
		options Options
		results iter.Seq2[attack.Result, error]
		want    error
	}{
		"cut short":       {facts, Options{}, cut, broken},
		"no such backend": {facts, Options{}, seq([]attack.Result{{Backend: 2}}), ErrSamples},
		"backend -2":      {facts, Options{}, seq([]attack.Result{{Backend: -2}}), ErrSamples},
		"unknown clock":   {facts, Options{Clock: "wall"}, one, ErrOptions},
		"no name":         {Facts{Started: facts.Started, Backends: facts.Backends}, Options{}, one, ErrOptions},
		"no start":        {Facts{Run: "x", Backends: facts.Backends}, Options{}, one, ErrOptions},
	} {
		for _, f := range formats() {
			if err := f.write(io.Discard, c.facts, c.options, c.results); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", f.name, name, err, c.want)
			}
		}
	}
	if err := NDJSON(io.Discard, facts, cut); !errors.Is(err, broken) {
		t.Errorf("NDJSON cut short: %v, want %v", err, broken)
	}
	if err := NDJSON(io.Discard, facts, seq([]attack.Result{{Backend: 9}})); !errors.Is(err, ErrSamples) {
		t.Errorf("NDJSON of backend 9: %v, want ErrSamples", err)
	}
	// Nothing sent is an empty file, not an error.
	var b bytes.Buffer
	if err := VegetaCSV(&b, facts, Options{}, seq(nil)); err != nil || b.Len() != 0 {
		t.Errorf("no samples: %v, %d bytes", err, b.Len())
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsAreReturned(t *testing.T) {
	for _, f := range formats() {
		if err := f.write(full{}, facts, Options{}, seq(burst())); !errors.Is(err, errFull) {
			t.Errorf("%s: %v, want the writer's error", f.name, err)
		}
	}
	if err := NDJSON(full{}, facts, seq(burst())); !errors.Is(err, errFull) {
		t.Errorf("NDJSON: %v, want the writer's error", err)
	}
}

func TestInOrder(t *testing.T) {
	key := func(r attack.Result) time.Duration { return r.Planned }
	order := func(limit int, instants ...time.Duration) (got []time.Duration, err error) {
		var all []attack.Result
		for i, at := range instants {
			all = append(all, attack.Result{Seq: uint64(i), Planned: at})
		}
		for r, err := range inOrder(seq(all), key, limit) {
			if err != nil {
				return got, err
			}
			got = append(got, r.Planned)
		}
		return got, nil
	}
	if got, err := order(2, 3, 1, 2, 4, 4, 5); err != nil || !slices.IsSorted(got) || len(got) != 6 {
		t.Errorf("order = %v, %v", got, err)
	}
	if got, err := order(2, 5, 6, 7, 8, 1); !errors.Is(err, ErrSamples) {
		t.Errorf("too far out of order: %v, %v, want ErrSamples", got, err)
	}
	for range inOrder(seq(burst()), key, 4) {
		break // a reader may stop early
	}
}
