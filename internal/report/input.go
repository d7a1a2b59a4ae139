package report

import (
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// Input is everything a Report is built from. What is nil or empty is not known and is left out or null.
type Input struct {
	Weights  analyze.Weights
	Counts   analyze.Counts
	Options  analyze.Options   // what was asked for; used where there is no Decision
	Decision *analyze.Decision // nil where nothing was judged
	// Sequential is set where the decision was made by looks; its Counts are those of the last look.
	Sequential *Sequential

	// Invalid are the reasons why this is not a verdict whatever the statistics say, one sentence each, the
	// weightiest first; the decision is then kept as information. Interrupted says what cut the run short, e.g.
	// "SIGINT" or "disk full".
	Invalid     []string
	Interrupted string
	Remedies    []string // what to do about it, before what this package finds itself

	Checks        []preflight.Result
	Before, After *law.Snapshot
	Transport     string            // websocket | spdy
	Agent         string            // installed | uploaded, with its version
	Signatures    map[string]string // by backend: how its answers are recognised
	Steps         []SourceStep
	Pods          []SourcePod // where several pods sent, or one in several segments

	GatewayCost *CostFacts // nil where there is no gateway, or nothing was timed
	// Judged is the verdict of a report that is not about shares, and one of the three that follow what it is about.
	Judged     *Judged
	Comparison *Comparison
	Drill      *Drill
	Watch      *Watch

	Load        *LoadFacts // nil where nothing was sent, or only counts are known
	Specimens   []attack.Specimen
	Diagnostics []Diagnostic
	Witness     *Witness
	Segments    []Segment // where the weights were changed while the run sent
	Warnings    []string
	Run         *Run
}

// Sequential is how a decision by looks was made.
type Sequential struct {
	Every, Looks, Requests, Maximum int64          // requests, looks, requests, requests
	LnE                             float64        // ln of the e-value against the weights; +Inf after a leak
	Anytime                         analyze.PValue // valid at any look
}

// LoadFacts is what was sent and what came of it, counted by whoever read the samples.
type LoadFacts struct {
	Backends     []Answers // aligned to Input.Weights
	Unattributed Answers

	WarmUp     int64         // requests sent before the first counted one
	Dropped    int64         // results that were counted but whose times were lost
	TargetRate float64       // requests per second
	Duration   time.Duration // from the first to the last sending
	SendLags   []int64       // nanoseconds, ascending

	CPU         time.Duration // of the generator, over the burst; 0: unknown
	Connections int64
	Engine      string
	EndReason   string
	OnTime      bool // the generator kept its schedule

	OverTime *OverTime // nil: not known; its backends are aligned to Input.Weights
	Marks    []Mark    // what happened during the burst, in order
}

// Answers is what came back from one backend.
type Answers struct {
	Statuses map[uint16]int64            // complete answers by HTTP status
	Errors   map[attack.ErrorClass]int64 // requests that failed below HTTP
	Service  []int64                     // service times of complete answers, nanoseconds, ascending
	Response []int64                     // response times of the same, nanoseconds, ascending
}

func (a Answers) requests() (n int64) {
	for _, v := range a.Statuses {
		n += v
	}
	return n + a.failed()
}

// failed counts requests without a complete answer.
func (a Answers) failed() (n int64) {
	for _, v := range a.Errors {
		n += v
	}
	return n
}

// serverErrors counts answers of status 500 and above.
func (a Answers) serverErrors() (n int64) {
	for status, v := range a.Statuses {
		if status >= 500 {
			n += v
		}
	}
	return n
}
