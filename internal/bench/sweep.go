package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// sweep carries out a sweep in the agent's pod.
func (r *latencyRun) sweep(ctx context.Context) error {
	r.live.begin(nil, nil, 0, 0)
	return sweepRates(r.cfg.Rates, r.plan.Limit, func(rate attack.Rate) (*judge.Burst, error) {
		r.progress("attack", fmt.Sprintf("%g requests per second for %s", rate.PerSecond(), r.plan.Round))
		return r.burst(ctx, record.LatencyBurst{
			Round: len(r.plan.Bursts), Rate: rate, Requests: max(1, rate.Requests(r.plan.Round)),
		})
	})
}

// sweepRates takes the given rates in rising order until the limit breaks, then rates between the last that held and
// the first that broke, until they are near. Without a limit it takes all of them.
func sweepRates(given []attack.Rate, limit *report.SweepLimit, step func(attack.Rate) (*judge.Burst, error)) error {
	rates := slices.Clone(given)
	slices.SortFunc(rates, func(a, b attack.Rate) int { return cmp.Compare(a.PerSecond(), b.PerSecond()) })
	held, broke, steps := 0.0, math.Inf(1), 0
	take := func(rate attack.Rate) error {
		steps++
		b, err := step(rate)
		if err != nil {
			return err
		}
		if limit != nil && b.Breaks(limit) {
			broke = math.Min(broke, rate.PerSecond())
		} else {
			held = math.Max(held, rate.PerSecond())
		}
		return nil
	}
	for _, rate := range rates {
		if limit != nil && !math.IsInf(broke, 1) {
			break
		}
		if err := take(rate); err != nil {
			return err
		}
	}
	for limit != nil && held > 0 && !math.IsInf(broke, 1) && broke/held > sweepFine && steps < mostSteps {
		if err := take(perSecond(math.Sqrt(held * broke))); err != nil {
			return err
		}
	}
	return nil
}

// perSecond is a rate to three digits.
func perSecond(x float64) attack.Rate {
	digits := math.Pow(10, math.Max(0, 2-math.Floor(math.Log10(x))))
	return attack.Rate{Hits: uint64(math.Round(x * digits)), Per: time.Duration(digits) * time.Second}
}
