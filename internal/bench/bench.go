// Package bench is the live part of a run's story. Package judge tells the rest of it, and this is the only place where
// the two meet a cluster. The story, and the files that tell it:
//
//	run.go                   every kind of run: prepare, open the folder, measure, finish
//	discover.go, expect.go   read the cluster, and wait for the weights that are expected
//	plan.go                  fix the burst before the first request
//	measure.go               open sessions, settle, take results
//	burst.go, source.go      several pods send as if they were one; one pod's part of it
//	provision.go             get the load generator into a pod
//	settle.go, signature.go  learn which backend answers how
//	runners.go               pods of our own that stand in for the workload's
//	witness.go, follow.go    the proxy's counters, and what changes meanwhile
//	finish.go                read the cluster again, judge, write everything
//
// Drill, Latency and Watch are told in files of those names, with what they do in their own way.
//
// It holds that a verdict is computed once, from a plan that was fixed before the first counted request. It refuses to
// call a run measured when it was not: a refusal of the cluster, a stream that was cut, weights that moved or answers
// of unknown origin make the outcome invalid, never a pass.
package bench

import (
	"io"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/podexec"
)

// Config is everything a run is told. It is complete before the run starts.
type Config struct {
	Query   mesh.Query
	Local   mesh.Client
	Remotes []mesh.Remote
	REST    *rest.Config // of Local, for exec

	URL        string // "": the root Service and its port
	Options    analyze.Options
	Load       Load
	Rules      []judge.ClassifyRule // of the user; none: backends are told apart by what they answer
	Sequential *record.Sequential   // stop at the first look that decides; nil: send all
	// IgnoreChecks are ids of checks whose failure does not keep the run from being made. The report says so.
	IgnoreChecks []string
	Protocol     podexec.Protocol
	Expect       *Expect // what the weights must be; nil: whatever they are
	Witness      string  // the second witness, see witness.CheckWord; "": auto
	CountBy      string  // record.CountedByProxy, or "": by what answers say
	Via          Via     // how to get the load generator into the pod; "": ViaAuto
	Image        string  // of an ephemeral container, with ViaEphemeral
	Runners      Runners // pods of our own in place of the workload's
	Resume       bool    // resume a run whose stream broke
	KeepGoing    bool    // send also what is certain to show nothing
	ResultsDir   string
	Baseline     *judge.Baseline // an earlier run to compare with; nil: none

	Command   []string          // the command line, for the record
	Flags     map[string]string // every flag as it was resolved, secrets masked, for the record
	Labels    map[string]string
	Tool      string // version and commit
	Self      string // path of this program, which may have to be uploaded
	Simulated string // what is simulated; "" on a real cluster

	Progress func(Progress) // may be nil; called from one goroutine at a time
	Log      io.Writer      // warnings and the agent's stderr; nil: dropped
}

// Load is what is to be sent.
type Load struct {
	Requests    uint64 // 0: planned from the options, see analyze.RequiredRequests
	Rate        attack.Rate
	Connections int
	Timeout     time.Duration
	WarmUp      uint64
	Header      map[string]string
	MaxRate     float64
	MaxRequests uint64
	// Template is how requests are sent: engine, protocol, connections, saturation, TLS, and headers of the user's. What
	// it says of the target and of the amount is not looked at. Without Reuse a connection carries a 128th of all
	// requests.
	Template attack.Plan
}

// Progress is where a run is.
type Progress struct {
	Phase string       // "discover", "check", "settle", "attack", "judge"
	Text  string       // what is going on, one line
	Live  *report.Live // what was found so far, about once a second while requests are sent; else nil
}
