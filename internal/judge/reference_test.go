package judge

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// TestTheReferenceRunIsJudgedAgainAlike reads the run that is committed under results/, made on two real clusters, and
// wants the report that it was stored with.
func TestTheReferenceRunIsJudgedAgainAlike(t *testing.T) {
	t.Parallel()
	const dir = "../../results"
	runs, err := filepath.Glob(filepath.Join(dir, "2*", "manifest.json"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("no reference run in %s: %v", dir, err)
	}
	judged := 0
	for _, run := range runs {
		f, err := store.Open(dir, filepath.Base(filepath.Dir(run)))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := record.Read(f); err != nil || m.Labels["reference"] == "" {
			continue // runs of whoever works here lie in the same folder
		}
		judged++
		if v, err := f.Verify(); err != nil || f.Status != store.Complete {
			t.Errorf("%s: %s, %v, %v", f.ID, f.Status, v, err)
		}
		b, err := os.ReadFile(filepath.Join(f.Dir, record.VerdictFile))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := report.ReadJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		again, err := Analyze(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if stored.GatewayCost != nil { // stored before lateness widened ranges, and late requests were left out
			was, is := stored.GatewayCost.Costs[0].Quantiles[0], again.GatewayCost.Costs[0].Quantiles[0]
			if *is.LowMs > *was.LowMs || *is.HighMs < *was.Ms || *was.Ms-*is.LowMs > 1 {
				t.Errorf("%s: the cost at the median was %g to %g ms and is %g to %g", f.ID, *was.LowMs, *was.HighMs, *is.LowMs, *is.HighMs)
			}
		}
		stored.Run.Dir, again.Run.Dir = "", "" // where it was made and where it lies now
		again = olderThan(t, b, again)
		stored.GatewayCost, again.GatewayCost = nil, nil
		if d := cmp.Diff(stored, again); d != "" {
			t.Errorf("%s: stored and judged again differ (-stored +again):\n%s", f.ID, d)
		}
		if stored.Verdict.Outcome != report.Pass || stored.Run.Simulated != "" {
			t.Errorf("%s: outcome %s, simulated %q", f.ID, stored.Verdict.Outcome, stored.Run.Simulated)
		}
	}
	if judged == 0 {
		t.Errorf("no run in %s has the label reference", dir)
	}
}

// olderThan takes out of again what a splitbench of the time at which the document was stored did not say: keys that the
// document does not have. What both say must be the same.
func olderThan(t *testing.T, stored []byte, again report.Report) report.Report {
	t.Helper()
	var have, now any
	b, err := json.Marshal(again)
	if err == nil {
		err = errors.Join(json.Unmarshal(stored, &have), json.Unmarshal(b, &now))
	}
	if err != nil {
		t.Fatal(err)
	}
	if b, err = json.Marshal(common(have, now)); err != nil {
		t.Fatal(err)
	}
	var out report.Report
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func common(have, now any) any {
	switch have := have.(type) {
	case map[string]any:
		out := map[string]any{}
		if now, ok := now.(map[string]any); ok {
			for k, v := range now {
				if old, ok := have[k]; ok {
					out[k] = common(old, v)
				}
			}
		}
		return out
	case []any:
		if now, ok := now.([]any); ok && len(now) == len(have) {
			out := make([]any, len(now))
			for i := range now {
				out[i] = common(have[i], now[i])
			}
			return out
		}
	}
	return now
}
