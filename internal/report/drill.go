package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Drill is what a failover drill found: steady traffic while something was broken by others.
type Drill struct {
	Sent       int64            `json:"sent"`
	Answered   int64            `json:"answered"`   // complete answers below status 500
	Lost       int64            `json:"lost"`       // the others
	LostByKind map[string]int64 `json:"lostByKind"` // error class, or "http 502"
	// every planned request has its result; false where the run was cut short
	Accounted bool         `json:"accounted"`
	Outage    Span         `json:"outage"` // all the time with losses, together
	Limits    DrillLimits  `json:"limits"`
	Failovers []Failover   `json:"failovers"` // in order of time
	Events    []DrillEvent `json:"events"`
	Unwatched []string     `json:"unwatched"` // what the API did not tell, and why
	Timeline  Timeline     `json:"timeline"`
}

// DrillLimits are what was allowed; null: anything.
type DrillLimits struct {
	MaxLost          *int64   `json:"maxLost"`
	MaxOutageSeconds *float64 `json:"maxOutageSeconds"`
}

// Span is a duration that is known within bounds, in seconds.
type Span struct {
	Seconds     float64 `json:"seconds"`
	LowSeconds  float64 `json:"lowSeconds"`
	HighSeconds float64 `json:"highSeconds"`
}

// Instant is a moment that is known within bounds, in seconds since the first request.
type Instant struct {
	AtSeconds   float64 `json:"atSeconds"`
	LowSeconds  float64 `json:"lowSeconds"`
	HighSeconds float64 `json:"highSeconds"`
}

// Causes of a takeover.
const (
	ByWeights = "weights" // the weights were changed, and then the other side carried all
	ByProxy   = "proxy"   // the proxy stopped drawing the backend by itself
	ByNobody  = "nobody"  // requests were lost until the backend came back
)

// Failover is one backend that stopped answering, and what came of it. What did not happen is null.
type Failover struct {
	Backend     string   `json:"backend"`
	Silent      Instant  `json:"silent"`     // its last answer before
	FirstError  *Instant `json:"firstError"` // the first request that was lost
	Lost        int64    `json:"lost"`       // while it was silent
	Waited      int64    `json:"waited"`     // requests of the time before it was back that it answered then
	LongestWait float64  `json:"longestWaitSeconds"`
	TakenOver   *Instant `json:"takenOver"`   // from here on the others carried all, without a loss
	By          string   `json:"by"`          // weights, proxy or nobody
	Recovered   *Instant `json:"recovered"`   // its first answer again
	BackToSplit *Instant `json:"backToSplit"` // from here on the answers follow the weights again
	Sentences   []string `json:"sentences"`
}

// Say fills in the sentences. backends are those of the split, in order.
func (f *Failover) Say(events []DrillEvent, backends []string) {
	say := func(format string, args ...any) { f.Sentences = append(f.Sentences, fmt.Sprintf(format, args...)) }
	began, since := f.Silent.AtSeconds, "its last answer"
	switch e := f.FirstError; {
	case e != nil:
		began, since = e.AtSeconds, "the first loss"
		say("%s gave its last answer at %.1fs; the first request was lost at %.1fs (between %.1f and %.1f)%s.", f.Backend,
			f.Silent.AtSeconds, began, e.LowSeconds, e.HighSeconds, afterEvent(events, backends, began))
		say("%d requests were lost while it was silent.", f.Lost)
	case f.Waited > 0:
		say("%s gave its last answer at %.1fs; no request was lost, and %d waited until it answered again, for up to %.1fs.",
			f.Backend, began, f.Waited, f.LongestWait)
	default:
		say("%s gave its last answer at %.1fs, and no request was lost: the others carried all.", f.Backend, began)
	}
	switch t := f.TakenOver; {
	case t == nil && f.Waited > 0:
		say("Nothing took over: requests were lost or waited until it answered again; %d waited for their answer, for up "+
			"to %.1fs.", f.Waited, f.LongestWait)
	case t == nil:
		say("Nothing took over: requests were lost until it answered again, or until the end.")
	default:
		did := "the proxy did it, the weights stayed as they were"
		if f.By == ByWeights {
			did = "the weights did it" + afterEvent(events, backends, t.HighSeconds)
		}
		say("The others carried all from %.1fs on, %.1fs after %s (%.1f to %.1f): %s.", t.AtSeconds, t.AtSeconds-began,
			since, max(0, t.LowSeconds-began), t.HighSeconds-began, did)
	}
	if f.Recovered == nil {
		say("It did not answer again before the end.")
		return
	}
	say("Its first answer again was at %.1fs%s.", f.Recovered.AtSeconds,
		afterEvent(events, backends, f.Recovered.AtSeconds))
	if b := f.BackToSplit; b != nil {
		say("The answers follow the weights again from %.1fs on (between %.1f and %.1f), %.1fs after %s.", b.AtSeconds,
			b.LowSeconds, b.HighSeconds, b.AtSeconds-began, since)
	} else {
		say("That the answers follow the weights again was not seen before the end.")
	}
}

// causeWindow is how long before a loss an event can be what it is measured from.
const causeWindow = 60.0

// afterEvent says how long after the last event before it something was, if there was one.
func afterEvent(events []DrillEvent, backends []string, at float64) string {
	for _, e := range slices.Backward(events) {
		switch since := at - e.AtSeconds; {
		case since < 0 || since > causeWindow:
		case len(e.Weights) > 0:
			parts := make([]string, len(backends))
			for i, b := range backends {
				parts[i] = strconv.FormatInt(e.Weights[b], 10)
			}
			return fmt.Sprintf(", %.1fs after the API told of weights %s", since, strings.Join(parts, "/"))
		default:
			return fmt.Sprintf(", %.1fs after %s %q", since, e.Kind, e.Text)
		}
	}
	return ""
}

// DrillEvent is something that happened: a mark of the user, or a change that the API told.
type DrillEvent struct {
	AtSeconds float64          `json:"atSeconds"` // since the first request; below 0: before it
	Kind      string           `json:"kind"`      // mark, weights, endpoints or object
	Text      string           `json:"text"`
	Weights   map[string]int64 `json:"weights,omitempty"` // from then on
}

// Timeline is what happened in each bin of time, by the instants at which requests were sent.
type Timeline struct {
	BinMs    int64           `json:"binMs"`
	Sent     []int64         `json:"sent"`
	Lost     []int64         `json:"lost"`
	Backends []TimelineShare `json:"backends"`
	P50Ms    []*float64      `json:"p50Ms"` // of answers; null in a bin without any
	MaxMs    []*float64      `json:"maxMs"`
	// what Lost is made of; absent in documents of versions that did not tell
	Losses []TimelineLoss `json:"losses,omitempty"`
}

// TimelineLoss is one kind of losses, in the bins that have any.
type TimelineLoss struct {
	Kind string  `json:"kind"` // as in lostByKind
	Bins []int64 `json:"bins"` // numbers of bins, ascending
	Lost []int64 `json:"lost"` // requests, one number for each of them
}

// TimelineShare is what one backend answered in each bin.
type TimelineShare struct {
	Backend  string  `json:"backend"`
	Answered []int64 `json:"answered"`
}

// drillReport is a report about a failover.
type drillReport struct{ splitReport }

func (d drillReport) title() string { return d.subject() + ", failover drill" }

func (d drillReport) headline() string {
	lost := fmt.Sprintf("%s of %s lost, outage %s", plural(d.Drill.Lost, "request"), count(d.Drill.Sent),
		spanText(d.Drill.Outage))
	switch d.Verdict.Outcome {
	case Pass:
		return "the failover kept within its limits: " + lost
	case Fail:
		return "the failover went beyond its limits: " + lost
	case Inconclusive:
		if len(d.Verdict.Reasons) > 0 {
			return strings.TrimSuffix(d.Verdict.Reasons[0], ".")
		}
		return "nothing can be said of a failover"
	case Measured:
		return lost
	}
	return notMeasured(d.Verdict.Reasons)
}

func (d drillReport) lead() string     { return "" }
func (d drillReport) question() string { return "the failover keeps within its limits" }
func (d drillReport) matter() string   { return "" } // what was lost is what it is about

func (d drillReport) sections() []Section {
	var events List
	for _, e := range d.Drill.Events {
		events.Items = append(events.Items, Item{Text: fmt.Sprintf("%+.1fs %s: %s", e.AtSeconds, e.Kind, e.Text)})
	}
	events.Ordered = true // by the numbers in the timeline
	out := []Section{
		{ID: "result", Title: "Result", Blocks: paragraphs(d.sentences()...)},
		{ID: "timeline", Title: "Timeline", Level: Page, Blocks: timelineBlocks(d.Report)},
		{ID: "events", Title: "What happened", Blocks: []Block{events}},
	}
	if d.requests() > d.Unattributed.Requests {
		out = append(out, sharesSection(d.Report))
	}
	return out
}

func spanText(s Span) string {
	if s.HighSeconds == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1fs (%.1f to %.1f)", s.Seconds, s.LowSeconds, s.HighSeconds)
}

func (r drillReport) sentences() []string {
	d := r.Drill
	var s []string
	for _, f := range d.Failovers {
		s = append(s, f.Sentences...)
	}
	accounted := "every one has its result"
	if !d.Accounted {
		accounted = "the run was cut short, those after that were not sent"
	}
	lost := count(d.Lost)
	if kinds := countsText(d.LostByKind); len(kinds) > 0 {
		lost += " (" + strings.Join(kinds, ", ") + ")"
	}
	return append(s, fmt.Sprintf("Requests: %s sent, %s answered, %s lost; %s.", count(d.Sent), count(d.Answered), lost,
		accounted))
}

// countsText are counts with what they are of, in the order of their names.
func countsText(m map[string]int64) []string {
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, count(m[k])+" "+k)
	}
	return parts
}
