package judge

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Replicates are a run's units of replication for tools that compare benchmarks.
type Replicates struct {
	Benchmark, Key string
	Config         [][2]string
	All            []export.Replicate
	Cut            error // how the samples end early, nil where they are whole; what is whole is there all the same
}

// ReplicatesOf are the rounds of a comparison of latencies in the order in which they were sent, the steps of a sweep,
// or of a run of a split one for each backend. Errors: *UsageError for kinds of runs that are no benchmark, and those
// of the folder.
func ReplicatesOf(f store.Folder) (Replicates, error) {
	m, err := record.Read(f)
	if err != nil {
		return Replicates{}, err
	}
	out := Replicates{Config: [][2]string{
		{"run", m.ID},
		{"tool", m.Tool},
		{"started", m.Started.UTC().Format(time.RFC3339)},
	}}
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		out.Config = append(out.Config, [2]string{"label-" + configKey(k), m.Labels[k]})
	}
	switch {
	case m.Kind == report.KindLatency && m.Latency != nil:
		out.Benchmark, out.Key = "Latency", "target"
		out.rounds(f, m)
	case m.Kind == report.KindSplit:
		out.Benchmark, out.Key = "Split", "backend"
		out.backends(f, m)
	default:
		return Replicates{}, record.Usagef("--to benchfmt: run %s is a %s run, which is no benchmark: only runs of a "+
			"split and latency runs have times to compare", f.ID, m.Kind)
	}
	for _, r := range out.All {
		slices.Sort(r.Took)
	}
	return out, nil
}

func (o *Replicates) rounds(f store.Folder, m record.Manifest) {
	p := m.Latency
	times, err := StoredTimes(f, m)
	o.Cut = err
	next := make([]int, len(times))
	for _, b := range p.Bursts {
		if b.Target < 0 || b.Target >= len(times) {
			return // storedTimes has said so
		}
		n := next[b.Target]
		next[b.Target]++
		if n >= len(times[b.Target].whole) || n >= len(times[b.Target].steps) {
			continue // it is not whole
		}
		s := times[b.Target].steps[n]
		r := export.Replicate{Name: p.Targets[b.Target].Name, Took: slices.Clone(s.took), Sent: s.Sent, Lost: s.errors}
		if p.Sweep {
			r.Parts = "/rate=" + strconv.FormatFloat(b.Rate.PerSecond(), 'g', 6, 64)
		}
		o.All = append(o.All, r)
	}
}

func (o *Replicates) backends(f store.Folder, m record.Manifest) {
	for _, w := range m.Weights {
		o.All = append(o.All, export.Replicate{Name: w.Backend})
	}
	var totals wire.Totals
	for r, err := range m.Samples(f, &totals) {
		if err != nil {
			o.Cut = err
			return
		}
		b := int(r.Backend)
		if r.Backend == attack.Unattributed || b < 0 || b >= len(o.All) {
			continue
		}
		o.All[b].Sent++
		if record.Failure(r) != "" {
			o.All[b].Lost++
			continue
		}
		o.All[b].Took = append(o.All[b].Took, int64(r.ResponseTime()))
	}
}

// configKey is a key as the format allows it: no upper case, no spaces and no colon.
func configKey(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-', r == '_', r == '/':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
}

// oneLoadTest refuses runs whose samples are no load test with one clock, for formats that know no other.
func oneLoadTest(m record.Manifest) error {
	switch m.Kind {
	case report.KindLatency:
		n := 0
		if m.Latency != nil {
			n = len(m.Latency.Bursts)
		}
		return record.Usagef("export run %s: it is a latency run of %d bursts, each with a clock of its own, and this "+
			"format knows one: export it with --to parquet, samples-csv or benchfmt", m.ID, n)
	case report.KindWatch:
		return record.Usagef("export run %s: it is a watch run, which keeps no samples: --to prom has its numbers", m.ID)
	}
	return nil
}

// ExportFacts is what an export of a stored run says of it besides its samples.
func ExportFacts(f store.Folder) (export.Facts, error) {
	m, err := record.Read(f)
	if err != nil {
		return export.Facts{}, err
	}
	if err := oneLoadTest(m); err != nil {
		return export.Facts{}, err
	}
	started := m.Started
	var totals wire.Totals
	for _, err := range record.Samples(f, &totals) {
		if err != nil {
			break // what a run that was cut short has is exported too
		}
	}
	if totals.StartedUnixNs > 0 {
		started = time.Unix(0, totals.StartedUnixNs).UTC()
	}
	return export.Facts{
		Run: m.ID, URL: m.Plan.URL, Method: m.Plan.Method, Started: started, Backends: record.BackendNames(m.Weights),
		Pods: m.PodNames(),
	}, nil
}

// Whole yields what a run has. A run that was cut short is exported as far as it goes, and cut says so.
func Whole(f store.Folder) (samples iter.Seq2[attack.Result, error], cut *error) {
	cut = new(error)
	return func(yield func(attack.Result, error) bool) {
		var totals wire.Totals
		for r, err := range record.Samples(f, &totals) {
			if endsEarly(err) {
				*cut = err
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}, cut
}

func endsEarly(err error) bool { return errors.Is(err, agent.ErrNoEnd) || wire.Truncated(err) }

// Tabulate writes a stored run to a table: one burst, or of a latency run all that were carried out to their end. cut
// is why others are missing.
func Tabulate(f store.Folder, t *export.Table) (cut, err error) {
	m, err := record.Read(f)
	if err != nil {
		return nil, err
	}
	if m.Kind == report.KindLatency && m.Latency != nil {
		return tabulateRounds(f, m, t)
	}
	facts, err := ExportFacts(f)
	if err != nil {
		return nil, err
	}
	samples, missing := Whole(f)
	err = t.Add(facts, samples)
	return *missing, err
}

// tabulateRounds reads twice: only the end of a burst says when it began.
func tabulateRounds(f store.Folder, m record.Manifest, t *export.Table) (cut, err error) {
	var began []int64
	cut, err = eachRound(f, m, func(_ int, samples iter.Seq2[attack.Result, error], totals *wire.Totals) error {
		for _, err := range samples {
			if err != nil {
				return err
			}
		}
		began = append(began, totals.StartedUnixNs)
		return nil
	})
	if err != nil {
		return nil, err
	}
	whole := *m.Latency
	whole.Bursts = whole.Bursts[:len(began)]
	m.Latency = &whole
	_, err = eachRound(f, m, func(i int, samples iter.Seq2[attack.Result, error], _ *wire.Totals) error {
		b, target := whole.Bursts[i], whole.Targets[whole.Bursts[i].Target]
		facts := export.Facts{
			Run: m.ID, URL: target.URL, Started: time.Unix(0, began[i]).UTC(), Target: target.Name, Round: b.Round + 1,
		}
		if target.Root != "" && m.Before != nil {
			for _, known := range m.Before.Backends {
				facts.Backends = append(facts.Backends, known.Name)
			}
		}
		return t.Add(facts, samples)
	})
	return cut, err
}

// eachRound calls do for the bursts of a stored latency run in their order, as far as they are stored.
func eachRound(
	f store.Folder, m record.Manifest, do func(int, iter.Seq2[attack.Result, error], *wire.Totals) error,
) (cut, err error) {
	plan := m.Latency
	bursts, err := m.OpenBursts(f)
	if errors.Is(err, agent.ErrNoEnd) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	defer bursts.Close()
	for i, b := range plan.Bursts {
		if b.Target < 0 || b.Target >= len(plan.Targets) {
			return nil, fmt.Errorf("read %s of run %s: a burst of target %d of %d", record.ManifestFile, f.ID, b.Target,
				len(plan.Targets))
		}
		var totals wire.Totals
		if err := do(i, bursts.Next(b.Rate, &totals), &totals); endsEarly(err) {
			return err, nil
		} else if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
