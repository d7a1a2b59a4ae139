package report

import (
	"fmt"
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// CostFacts is the gateway cost as it was computed.
type CostFacts struct {
	Why       string // why it is not stated
	Reference string
	Level     float64
	Windows   int
	Window    time.Duration
	SharedLag time.Duration      // 0: the generator was on time
	Backends  []BackendCostFacts // the reference first
}

// BackendCostFacts are those of one backend. Differences and Shift are against the reference, and empty of the reference.
type BackendCostFacts struct {
	Name        string
	Path        string
	Levels      []float64 // quantiles
	Times       []analyze.BlockInterval
	Differences []analyze.BlockDifference
	Shift       []analyze.BlockDifference
}

func gatewayCostOf(f *CostFacts) *GatewayCost {
	if f == nil {
		return nil
	}
	if f.Why != "" {
		return &GatewayCost{Why: f.Why}
	}
	out := &GatewayCost{Reference: f.Reference, Level: f.Level, Windows: f.Windows, WindowSeconds: f.Window.Seconds()}
	if f.SharedLag > 0 {
		out.SharedLagMs = finiteMs(float64(f.SharedLag))
	}
	for _, b := range f.Backends {
		times := BackendTimes{Backend: b.Name, Quantiles: []QuantileTime{}}
		for i, t := range b.Times {
			times.Requests = int64(t.Samples)
			times.Quantiles = append(times.Quantiles, quantileTime(b.Levels[i], t))
		}
		out.Backends = append(out.Backends, times)
		if len(b.Differences) == 0 {
			continue
		}
		c := BackendCost{Backend: b.Name, Path: b.Path, Quantiles: quantileDifferences(b.Differences), Shift: quantileDifferences(b.Shift)}
		c.Sentence = costSentence(c, f.Reference)
		out.Costs = append(out.Costs, c)
	}
	return out
}

func quantileTime(q float64, t analyze.BlockInterval) QuantileTime {
	out := QuantileTime{
		Quantile: q, LowMs: finiteMs(t.CI.Low), HighMs: finiteMs(t.CI.High),
		DesignEffect: math.Round(1000*t.DesignEffect) / 1000, Why: t.CI.Why,
	}
	if t.Samples > 0 {
		out.Ms = finiteMs(float64(t.Value))
	}
	return out
}

func quantileDifferences(d []analyze.BlockDifference) []QuantileDifference {
	out := make([]QuantileDifference, len(d))
	for i, x := range d {
		out[i] = QuantileDifference{
			Quantile: x.Q, Ms: finiteMs(float64(x.Difference)), LowMs: finiteMs(x.DifferenceCI.Low), HighMs: finiteMs(x.DifferenceCI.High),
			Why: x.DifferenceCI.Why,
		}
	}
	return out
}

// finiteMs turns nanoseconds into milliseconds, to the microsecond; nil where there is no such end.
func finiteMs(ns float64) *float64 {
	if math.IsInf(ns, 0) || math.IsNaN(ns) {
		return nil
	}
	return finite(math.Round(ns/1e3) / 1e3)
}

// costSentence says the difference at the median in words, or that none is proven.
func costSentence(c BackendCost, reference string) string {
	way := "through the gateway"
	if c.Path != PathGateway {
		way = "from the other cluster"
	}
	who := fmt.Sprintf("Answers %s (%s)", way, c.Backend)
	for _, q := range c.Quantiles {
		if q.Quantile != 0.5 {
			continue
		}
		if q.Ms == nil || q.LowMs == nil || q.HighMs == nil {
			return fmt.Sprintf("%s and those of %s cannot be compared at the median: it %s.", who, reference, q.Why)
		}
		d, low, high := *q.Ms, *q.LowMs, *q.HighMs
		switch {
		case low > 0:
			return fmt.Sprintf("%s take %s longer at the median, range %s to %s.", who, msText(d), msNumber(low), msNumber(high))
		case high < 0:
			return fmt.Sprintf("%s take %s less at the median, range %s to %s.", who, msText(-d), msNumber(-high), msNumber(-low))
		}
		return fmt.Sprintf("%s: no difference proven at the median, range %s to %s.", who, msNumber(low), msText(high))
	}
	return ""
}
