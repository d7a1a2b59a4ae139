package report

import (
	"fmt"
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// PlanKind is the kind of a Plan.
const PlanKind = "SplitPlan"

// Plan says, before anything is sent, what a number of requests would show. Its schema is
// docs/schema/splitplan.v1alpha1.json.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Gate      string  `json:"gate"`
	Alpha     float64 `json:"alpha"`
	Power     float64 `json:"power"`
	Requests  int64   `json:"requests"`  // the number that the plan is about
	Automatic bool    `json:"automatic"` // it was worked out, not given
	// that pass with the wanted power when the split is on target; null where no number would
	PlannedRequests *int64  `json:"plannedRequests"`
	Why             string  `json:"why,omitempty"`
	RatePerSecond   float64 `json:"ratePerSecond"`
	Seconds         float64 `json:"seconds"` // that sending takes
	// probability of a pass when every true share is its weight's; at least
	PassOnTarget float64 `json:"passOnTarget"`
	// half width of the likely range of the largest share, percentage points
	LikelyHalfPoints float64       `json:"likelyHalfPoints"`
	Backends         []PlanBackend `json:"backends"`
	Weights          string        `json:"weightsFrom"` // where the weights come from
}

// PlanBackend is one row of a plan.
type PlanBackend struct {
	Name            string  `json:"name"`
	Weight          int64   `json:"weight"`
	ExpectedShare   float64 `json:"expectedShare"`
	Expected        float64 `json:"expected"` // requests
	TolerancePoints float64 `json:"tolerancePoints"`
	// smallest shift that would be noticed with the wanted power; null for weight 0
	NoticeablePoints *float64 `json:"noticeablePoints"`
	// probability of a fail when its share is off by twice its tolerance; at least; null for weight 0
	FailAtTwice *float64 `json:"failAtTwice"`
}

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

// Outline is the plan as people read it.
func (p Plan) Outline() Outline {
	t := Table{
		Caption: "What would be noticed of each backend.",
		Columns: headings(1, "Backend", "Weight", "Expected", "Tolerance", "Noticed from", "Fail at twice"),
	}
	for _, b := range p.Backends {
		t.Rows = append(t.Rows, row(
			b.Name, fmt.Sprint(b.Weight), count(int64(math.Round(b.Expected))), points(b.TolerancePoints),
			known(b.NoticeablePoints, points), known(b.FailAtTwice, chance),
		))
	}
	return Outline{
		Word: "PLAN", Title: "plan", Headline: planHeadline(p), Sections: outlined(
			Section{ID: "backends", Title: "Backends", Blocks: append([]Block{t}, paragraphs(planSentences(p)...)...)},
		),
	}
}

func planHeadline(p Plan) string {
	s := fmt.Sprintf("%s requests", count(p.Requests))
	if p.RatePerSecond > 0 {
		s += fmt.Sprintf(", %s at %s a second", time.Duration(p.Seconds*float64(time.Second)).Round(100*time.Millisecond),
			statisticValue(p.RatePerSecond))
	}
	return s
}

func planSentences(p Plan) []string {
	s := []string{fmt.Sprintf("If the split is right, it passes with a probability of %s at least. If it is wrong, a "+
		"pass has a probability of %s at most.", chance(p.PassOnTarget), chance(p.Alpha))}
	switch {
	case p.PlannedRequests == nil:
		s = append(s, "No number of requests would do: "+p.Why+".")
	case p.Automatic:
		s = append(s, fmt.Sprintf("That is the number that passes a split on target %s of the time.", chance(p.Power)))
	case p.Requests < *p.PlannedRequests:
		s = append(s, fmt.Sprintf("To pass a split on target %s of the time, send %s.", chance(p.Power),
			count(*p.PlannedRequests)))
	default:
		s = append(s, fmt.Sprintf("%s would do to pass a split on target %s of the time.", count(*p.PlannedRequests),
			chance(p.Power)))
	}
	s = append(s, fmt.Sprintf("The likely range of the largest share will be about %s to each side.",
		points(p.LikelyHalfPoints)))
	if p.Weights != "" {
		s = append(s, "Weights from "+p.Weights+".")
	}
	return s
}

// chance is a probability in percent that never claims certainty.
func chance(p float64) string {
	switch {
	case p > 0.9999:
		return "more than 99.99 %"
	case p > 0 && p < 0.0001:
		return "less than 0.01 %"
	}
	return percent(p)
}
