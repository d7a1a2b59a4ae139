package report

import "github.com/splitbench/splitbench/analyze"

// BuildPlan works out what requests would show. requests 0 means as many as are needed.
func BuildPlan(w analyze.Weights, o analyze.Options, requests int64, ratePerSecond float64, from string) (Plan, error) {
	p := Plan{
		APIVersion: APIVersion, Kind: PlanKind, Gate: string(o.Gate), Alpha: o.Alpha, Power: o.Power,
		RatePerSecond: ratePerSecond, Weights: from, Automatic: requests == 0,
	}
	if requests == 0 {
		n, err := analyze.RequiredRequests(w, o)
		if err != nil {
			return Plan{}, err
		}
		requests = n
	}
	f, err := analyze.Foresee(w, requests, o)
	if err != nil {
		return Plan{}, err
	}
	p.Requests, p.Why, p.PassOnTarget, p.LikelyHalfPoints = requests, NeededWhy(f.Planned), f.PassOnTarget,
		f.ExpectedLowPoints
	if f.Planned.Requests > 0 {
		p.PlannedRequests = &f.Planned.Requests
	}
	if ratePerSecond > 0 {
		p.Seconds = float64(requests) / ratePerSecond
	}
	shares := w.Shares()
	for i, x := range w {
		b := PlanBackend{Name: x.Backend, Weight: x.W, TolerancePoints: f.TolerancePoints[i], ExpectedShare: shares[i]}
		b.Expected = b.ExpectedShare * float64(requests)
		if x.W > 0 {
			b.FailAtTwice = Finite(f.FailAtTwice[i])
			if i < len(f.NoticeablePoints) {
				b.NoticeablePoints = Finite(f.NoticeablePoints[i])
			}
		}
		p.Backends = append(p.Backends, b)
	}
	return p, nil
}
