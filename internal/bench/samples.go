package bench

import (
	"errors"
	"io/fs"
	"iter"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Samples yields the stored results of a run in the order in which they arrived, and fills totals from its END. A run that
// was cut short yields what is whole and then agent.ErrNoEnd or the reason.
func Samples(f store.Folder, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	m, err := readManifest(f)
	if errors.Is(err, fs.ErrNotExist) {
		err = agent.ErrNoEnd
	}
	if err != nil {
		return func(yield func(attack.Result, error) bool) { yield(attack.Result{}, err) }
	}
	return samples(f, m, totals)
}

// ExportFacts is what an export of a stored run says of it besides its samples.
func ExportFacts(f store.Folder) (export.Facts, error) {
	m, err := readManifest(f)
	if err != nil {
		return export.Facts{}, err
	}
	if err := oneLoadTest(m); err != nil {
		return export.Facts{}, err
	}
	started := m.Started
	var totals wire.Totals
	for _, err := range Samples(f, &totals) {
		if err != nil {
			break // what a run that was cut short has is exported too
		}
	}
	if totals.StartedUnixNs > 0 {
		started = time.Unix(0, totals.StartedUnixNs).UTC()
	}
	return export.Facts{Run: m.ID, URL: m.Plan.URL, Method: m.Plan.Method, Started: started, Backends: backendNames(m.Weights)}, nil
}
