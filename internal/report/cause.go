package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Cause is what explains an order of requests that independent draws of one split do not give.
type Cause struct {
	Kind    string         `json:"kind"`              // that of the explanation with the most evidence
	Also    string         `json:"also,omitempty"`    // a second one, where both together have 1,000 times the evidence
	Tried   []Explanation  `json:"tried"`             // all, the most evidence first
	Changes []ChangeOfDraw `json:"changes,omitempty"` // of the shares, in order
}

// Explanation is how much more probable the order is by it than by independent draws of one split.
type Explanation struct {
	Kind         string  `json:"kind"`
	EvidenceNats float64 `json:"evidenceNats"` // natural logarithm of how many times; below 0: less probable
}

// ChangeOfDraw is one change of the shares, as the answers show it; low and high hold it with 99 %.
type ChangeOfDraw struct {
	AfterRequests int     `json:"afterRequests"` // with a known backend
	AtSeconds     float64 `json:"atSeconds"`     // sending of the first request behind it, from the burst's start
	LowSeconds    float64 `json:"lowSeconds"`
	HighSeconds   float64 `json:"highSeconds"`
}

// NameCause is the name of the diagnostic that says what explains the order of requests.
const NameCause = "cause"

// CauseOf is a cause as documents have it.
func CauseOf(c *analyze.Cause) *Cause {
	out := &Cause{Kind: c.Kind, Also: c.Also, Tried: []Explanation{}}
	for _, t := range c.Tried {
		out.Tried = append(out.Tried, Explanation{t.Cause, t.Evidence})
	}
	for _, p := range c.Places {
		out.Changes = append(out.Changes,
			ChangeOfDraw{p.At, p.Time.Seconds(), p.LowTime.Seconds(), p.HighTime.Seconds()})
	}
	return out
}

// causeWords are what was found and what usually makes it so.
func causeWords(c *analyze.Cause) (what, cause string) {
	const opaque = "the port is opaque or TCP, so the split is drawn per connection"
	const robin = "a round robin, not a random draw, splits the traffic: something other than the mesh is in the path"
	switch c.Kind {
	case analyze.CauseChange:
		what, cause = changeWords(c), "the weights that proxies obey changed during the run, whether or not an object did"
	case analyze.CauseDrift:
		what = fmt.Sprintf("the share of %s moved slowly, from %s at the start to %s at the end", c.Backend,
			exactPercent(c.Begin), exactPercent(c.End))
		cause = "something shifts traffic little by little, such as a progressive rollout"
	case analyze.CauseConnections:
		what, cause = connectionWords(c), opaque
		if c.Backend != "" {
			cause = "the split sends everything to one backend"
		}
	case analyze.CauseUnnamed:
		what = fmt.Sprintf("where a request goes repeats every %d requests, as if so many connections were used in turns "+
			"and "+
			"each kept its backend", c.Connections)
		cause = opaque
	case analyze.CausePods:
		what, cause = podWords(c), "one source pod's proxy still has old weights"
	case analyze.CauseTurns:
		what = "backends take turns: the one that is furthest behind its share is next, which a random draw does not care for"
		cause = robin
	case analyze.CauseSticky:
		if what = "a request goes where the one before it went"; float64(c.Runs.Runs) > c.Runs.Mean {
			what, cause = "a request goes where the one before it did not go", robin
		} else {
			cause = "connections are pinned to a backend (a TCP or opaque port splits per connection)"
		}
		what += fmt.Sprintf(" more often than chance does: %s runs, about %s expected", count(c.Runs.Runs),
			count(int64(math.Round(c.Runs.Mean))))
	case analyze.CauseLost:
		what = fmt.Sprintf("from %s after the start on, answers of %s were lost: %s since then have no known backend, and "+
			"the shares stayed the same if they are its own", instant(c.Parts[0].From), c.Backend,
			plural(c.Parts[0].Lost, unitRequest))
		cause = "the backend, or the way to it, fails"
	default:
		what = "the order of requests is not that of independent draws, and nothing that was tried explains it better"
	}
	if also := besides(c.Also); also != "" {
		what += "; besides, " + also
	}
	return what, cause
}

// besides says a second cause.
func besides(kind string) string {
	switch kind {
	case analyze.CauseChange:
		return "the shares changed during the run"
	case analyze.CauseConnections, analyze.CauseUnnamed:
		return "requests of one connection stay together"
	case analyze.CausePods:
		return "source pods do not send to the same shares"
	case analyze.CauseTurns:
		return "backends take turns"
	case analyze.CauseSticky:
		return "the requests of each part are not independent of their neighbours"
	}
	return ""
}

// manyChanges are more than can be told apart with certainty.
const manyChanges = 4

// changeWords say when the shares changed and what they were in each part.
func changeWords(c *analyze.Cause) string {
	var shares, instants []string
	low, high := 1.0, 0.0
	for _, p := range c.Parts {
		shares = append(shares, likely(p, c.Index))
		low, high = min(low, p.Share(c.Index)), max(high, p.Share(c.Index))
	}
	for _, p := range c.Places {
		instants = append(instants, placeWords(p, c.Requests))
	}
	alike := ""
	if c.Also == "" {
		alike = "; each part by itself is like independent draws"
	}
	switch n := len(c.Places); {
	case n == 1:
		return fmt.Sprintf("the shares changed %s: before, %s had %s; after, %s%s", instants[0], c.Backend, shares[0],
			shares[1],
			alike)
	case n < manyChanges:
		return fmt.Sprintf("the shares changed %d times, %s: %s had %s", n, strings.Join(instants, ", and "), c.Backend,
			strings.Join(shares, ", then ")+alike)
	default:
		return fmt.Sprintf("the shares changed at least %d times, more often than can be told apart, first %s and last %s: "+
			"%s had between %s and %s", n, instants[0], instants[n-1], c.Backend, exactPercent(low), exactPercent(high))
	}
}

// placeWords say when something changed, by the clock where there is one.
func placeWords(p analyze.Place, of int64) string {
	after := fmt.Sprintf("after request %s of %s", count(int64(p.At)), count(of))
	if p.Time == 0 {
		return after
	}
	return fmt.Sprintf("%s after the start (99 of 100 sure: %s to %s), %s", instant(p.Time), instant(p.LowTime),
		instant(p.HighTime), after)
}

// instant writes an instant of a run to a tenth of a second, or to a millisecond near its start.
func instant(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// likely is the share of a backend in a part with its likely range.
func likely(p analyze.Stretch, backend int) string {
	ci := analyze.ClopperPearson(p.N[backend], p.Requests(), 0.95)
	return fmt.Sprintf("%s (%s to %s)", exactPercent(p.Share(backend)), digits(100*ci.Low), digits(100*ci.High))
}

func connectionWords(c *analyze.Cause) string {
	on := plural(int64(c.Connections), "connection")
	switch {
	case c.Backend != "":
		return fmt.Sprintf("every request went to %s, on %s: if connections are pinned, they tell no more than one draw each",
			c.Backend, on)
	case c.Independent > 0:
		return fmt.Sprintf("requests of one connection stay together: %s on %s tell as much as %s independent ones",
			plural(c.Requests, unitRequest), on, count(c.Independent))
	}
	return fmt.Sprintf("connections do not send to the same shares (%s)", on)
}

// podWords name the two source pods that differ most.
func podWords(c *analyze.Cause) string {
	byShare := func(x, y analyze.Stretch) int { return cmp.Compare(x.Share(c.Index), y.Share(c.Index)) }
	low, high := slices.MinFunc(c.Parts, byShare), slices.MaxFunc(c.Parts, byShare)
	return fmt.Sprintf("source pods do not send to the same shares: %s got %s of the requests of %s and %s of those of %s",
		c.Backend, likely(low, c.Index), low.Name, likely(high, c.Index), high.Name)
}

// Segment is a part of a run whose weights were changed while it sent, judged by the weights that held for it. It is
// for information: the outcome of such a run is invalid.
type Segment struct {
	FromSeconds float64 `json:"fromSeconds"` // sending of its first request, from the burst's start
	ToSeconds   float64 `json:"toSeconds"`   // of its last
	// attributed ones; those that may belong to either of two segments are in neither
	Requests    int64            `json:"requests"`
	Backends    []SegmentBackend `json:"backends"`
	Outcome     string           `json:"outcome,omitempty"` // pass | fail | inconclusive
	Pearson     *Statistic       `json:"pearson"`
	Why         string           `json:"why,omitempty"` // why there is no outcome
	Propagation *Propagation     `json:"propagation"`   // of the change that it began with; null for the first
}

// SegmentBackend is one backend in a segment.
type SegmentBackend struct {
	Name          string   `json:"name"`
	Weight        int64    `json:"weight"`
	ExpectedShare float64  `json:"expectedShare"`
	Observed      int64    `json:"observed"`
	ObservedShare *float64 `json:"observedShare"` // null where nothing was observed
}

// Propagation is how long it took from the API server's word of a write to the first request that was drawn by it. Low
// and high hold that with 95 % by the answers; the clocks add their error. null with a why where the answers do not
// show it.
type Propagation struct {
	What           string   `json:"what"`           // object that was written
	WriteAtSeconds float64  `json:"writeAtSeconds"` // from the burst's start
	Seconds        *float64 `json:"seconds"`
	LowSeconds     *float64 `json:"lowSeconds"`
	HighSeconds    *float64 `json:"highSeconds"`
	ClockErrorMs   float64  `json:"clockErrorMs"`
	Why            string   `json:"why,omitempty"`
}

// segmentSentences say what moved when, and how each part fits its own weights.
func segmentSentences(r Report) []string {
	var out []string
	for _, s := range r.Segments {
		if p := s.Propagation; p != nil {
			text := fmt.Sprintf("%s was written %s after the burst's start", p.What, seconds(p.WriteAtSeconds))
			switch {
			case p.Seconds == nil:
				text += "; " + p.Why
			case p.LowSeconds != nil && p.HighSeconds != nil:
				text += fmt.Sprintf("; the answers follow it from %s later on (95 of 100 sure: %s to %s, clocks within %.3g ms)",
					propagated(*p.Seconds), propagated(*p.LowSeconds), propagated(*p.HighSeconds), p.ClockErrorMs)
			}
			out = append(out, text)
		}
		var weights, shares []string
		for _, b := range s.Backends {
			if len(weights) == maxWeightsShown {
				weights, shares = append(weights, "..."), append(shares, "...")
				break
			}
			weights = append(weights, fmt.Sprint(b.Weight))
			if b.ObservedShare != nil {
				shares = append(shares, b.Name+" "+percent(*b.ObservedShare))
			}
		}
		text := fmt.Sprintf("by %s from %s to %s: %s", strings.Join(weights, "/"), seconds(s.FromSeconds),
			seconds(s.ToSeconds), plural(s.Requests, "request"))
		if len(shares) > 0 {
			text += ", " + strings.Join(shares, ", ")
		}
		switch {
		case s.Outcome != "":
			text += fmt.Sprintf(" (by itself %s)", article(s.Outcome))
		case s.Why != "":
			text += " (" + s.Why + ")"
		}
		out = append(out, text)
	}
	return out
}

// propagated is a delay with the precision that it is read at.
func propagated(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

// InForce is what proxies obey where that is not what the split declares, and the same counts against it. It is for
// information: the verdict is of the weights that were declared.
type InForce struct {
	From     string           `json:"from"` // the object that proxies obey
	Backends []SegmentBackend `json:"backends"`
	Outcome  string           `json:"outcome,omitempty"` // pass | fail | inconclusive
	Pearson  *Statistic       `json:"pearson"`           // null where the counts cannot be judged
}

// inForceSentence sets the two apart.
func inForceSentence(r Report) string {
	f := r.InForce
	if f == nil || r.Split == nil {
		return ""
	}
	weights := make([]string, 0, len(f.Backends))
	for i, b := range f.Backends {
		if i == maxWeightsShown {
			weights = append(weights, "...")
			break
		}
		weights = append(weights, fmt.Sprintf("%s=%d", b.Name, b.Weight))
	}
	s := fmt.Sprintf("What proxies obey is not what %s %s/%s declares: %s says %s.", r.Split.Kind, r.Split.Namespace,
		r.Split.Name, f.From, strings.Join(weights, ", "))
	if f.Outcome != "" {
		s += fmt.Sprintf(" Against what is in force the same counts are %s, which is no verdict of the split.",
			article(f.Outcome))
	}
	return s
}
