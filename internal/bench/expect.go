package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
)

// Expect is what the user says the weights are.
type Expect struct {
	Text    string
	Weights []int64         // in the split's own order; nil where Named is set
	Named   analyze.Weights // by backend
	Wait    time.Duration   // how long to wait for the objects, and then for the data plane; 0: not at all
}

// ParseExpect reads 90/10, in the order of the split's backends, or podinfo=90,podinfo-east=10.
func ParseExpect(s string) (*Expect, error) {
	e := &Expect{Text: s}
	if strings.Contains(s, "=") {
		w, err := analyze.ParseWeights(s)
		if err != nil {
			return nil, fmt.Errorf("--expect: %w", err)
		}
		e.Named = w
		return e, nil
	}
	var sum int64
	for part := range strings.SplitSeq(s, "/") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("--expect %q: want weights such as 90/10, or BACKEND=WEIGHT and so on", s)
		}
		e.Weights, sum = append(e.Weights, n), sum+n
	}
	if sum == 0 {
		return nil, fmt.Errorf("--expect %q: some weight must be above 0", s)
	}
	return e, nil
}

// met says whether the weights are those that are expected, in ratio, and else what they are.
func (e *Expect) met(w analyze.Weights) (why string) {
	want := e.Named
	switch {
	case want != nil:
		var ok bool
		if want, ok = record.Aligned(want, w); !ok {
			return fmt.Sprintf("the cluster says %s, you expected %s: the backends are others", record.WeightsText(w), e.Text)
		}
	case len(e.Weights) != len(w):
		return fmt.Sprintf("the cluster says %s, which are %d backends, you expected %s", record.WeightsText(w), len(w),
			e.Text)
	default:
		want = slices.Clone(w)
		for i := range want {
			want[i].W = e.Weights[i]
		}
	}
	if !record.SameShares(w, want) {
		return fmt.Sprintf("the cluster says %s, you expected %s", w.Ratio(), e.Text)
	}
	return ""
}

// Bounds of waiting for the data plane.
const (
	followRound  = 100 // probes that are looked at together
	followRounds = 10
	followRate   = 100.0 // probes a second, at most, and never more than the run's own rate
	followLevel  = 0.01  // a round whose shares would be rarer than this is not drawn by the weights
)

// awaitDataPlane sends probes, which are never counted, until a round of them looks as if it were drawn by the weights.
// It is no verdict and takes none away: the burst is drawn anew, and is judged whatever the probes were.
func (r *run) awaitDataPlane(ctx context.Context, f fetcher) error {
	e := r.cfg.Expect
	if e == nil || e.Wait == 0 {
		return nil
	}
	classifier, err := attack.NewClassifier(r.m.Plan.Rules)
	if err != nil {
		return err
	}
	apart := time.Duration(float64(time.Second) / min(followRate, max(1, r.m.Plan.Rate.PerSecond())))
	tick := time.NewTicker(apart)
	defer tick.Stop()
	deadline := time.Now().Add(max(e.Wait, 2*followRound*apart)) // one round at least, of a target that answers
	for round := range followRounds {
		r.progress("settle", fmt.Sprintf("waiting for the data plane to follow the weights, round %d", round+1))
		counts, whole := analyze.Counts{N: make([]int64, len(r.m.Weights))}, true
		for range followRound {
			res, body, err := f.Fetch(ctx, fetchLike(r.m.Plan, r.m.Plan.URL))
			if err != nil {
				return err
			}
			if b := classifier.Classify(http.Header(res.Header), body); b >= 0 && int(b) < len(counts.N) {
				counts.N[b]++
			}
			if whole = time.Now().Before(deadline); !whole {
				break // a target that hangs answers each probe after its timeout
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if whole && follows(r.m.Weights, counts, r.m.Options) {
			return nil
		}
		if time.Now().After(deadline) {
			break
		}
	}
	r.m.Warnings = append(r.m.Warnings, "the data plane was waited for, and its probes did not look "+
		"like the expected weights: the burst was sent all the same")
	return nil
}

// follows reports whether counts could well be drawn by the weights.
func follows(w analyze.Weights, counts analyze.Counts, o analyze.Options) bool {
	for i, x := range w {
		if x.W == 0 && counts.N[i] > 0 {
			return false
		}
	}
	o.Gate = analyze.GateTolerance
	d, err := analyze.Judge(w, counts, o)
	if err != nil || d.Requests == 0 {
		return false
	}
	p := d.GoodnessOfFit.Pearson
	return p.DF == 0 || p.Exact.P >= followLevel
}
