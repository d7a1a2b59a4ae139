// Package record is what a run wrote down: its manifest, and its samples, read back from the run's folder.
//
// It decides nothing. With a record and no cluster a run can be judged again, and a record that somebody else brought
// is bounded by what a run can have.
package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// ManifestSchema names the layout of manifest.json.
const ManifestSchema = "splitbench.manifest/v1"

// Names of a run's files, besides those that the store writes itself.
const (
	ManifestFile = "manifest.json"
	VerdictFile  = "verdict.json"
	SummaryFile  = "summary.json"
	MarkdownFile = "report.md"
	TextFile     = "report.txt"
	HTMLFile     = "report.html"
	LogFile      = "exec.log"
)

// CountedByProxy is Manifest.CountedBy where answers name no backend: the draws that the proxy counted are judged.
const CountedByProxy = "proxy"

// Manifest is everything a run was told and saw, but for its samples. With those the report can be computed again.
type Manifest struct {
	Schema    string            `json:"schema"`
	ID        string            `json:"id"`
	Kind      string            `json:"kind,omitempty"` // see report.KindSplit; empty in runs of before there were others
	Dir       string            `json:"-"`
	Started   time.Time         `json:"started"`
	Ended     time.Time         `json:"ended"`
	Command   []string          `json:"command"`
	Flags     map[string]string `json:"flags,omitempty"` // every flag as it was resolved, secrets masked
	Labels    map[string]string `json:"labels,omitempty"`
	Tool      string            `json:"tool"`
	Simulated string            `json:"simulated,omitempty"`

	Options    analyze.Options   `json:"options"`
	Weights    analyze.Weights   `json:"weights"`
	Plan       attack.Plan       `json:"plan"`
	Automatic  bool              `json:"automaticRequests"` // the number of requests was planned, not given
	Sequential *Sequential       `json:"sequential,omitempty"`
	Drill      *DrillFacts       `json:"drill,omitempty"`   // of a run of kind drill
	Latency    *LatencyPlan      `json:"latency,omitempty"` // of a run of kind latency
	Signatures map[string]string `json:"signatures,omitempty"`
	CountedBy  string            `json:"countedBy,omitempty"` // who says which backend a request went to; "": answers
	Agent      AgentFacts        `json:"agent"`
	Witness    *WitnessFacts     `json:"witness,omitempty"` // nil: not asked for

	Streams   []Stream      `json:"streams,omitempty"`     // where there is more than one
	StartSkew time.Duration `json:"startSkewNs,omitempty"` // between the starts of several pods, at most; 0: not known

	Checks []preflight.Result `json:"checks"`
	Before *law.Snapshot      `json:"before"`
	After  *law.Snapshot      `json:"after"` // null where it was not read again

	Moves []Move `json:"moves,omitempty"` // what changed while the run sent
	Marks []Mark `json:"marks,omitempty"` // what the user marked meanwhile; a drill has them among its events
	Clock Clock  `json:"clock"`           // of the source pod

	Failures    []string `json:"failures,omitempty"`    // why there is no verdict, one sentence each
	Remedies    []string `json:"remedies,omitempty"`    // what to do about them
	Interrupted string   `json:"interrupted,omitempty"` // what cut the run short
	Warnings    []string `json:"warnings,omitempty"`
}

// AgentFacts is how the agent got into the pod and what it said of itself.
type AgentFacts struct {
	How       string            `json:"how"`
	Steps     []Step            `json:"steps,omitempty"` // of the ladder, in order
	Transport string            `json:"transport"`
	Hello     wire.HelloMessage `json:"hello"`
}

// Refused reports whether the run ended before its first request.
func (m *Manifest) Refused() bool {
	return !m.Undisturbed() || slices.ContainsFunc(m.Checks, preflight.Result.Failure)
}

// Complete reports whether the burst ended as the plan wanted: all was sent, or a look decided and it was stopped.
func (m *Manifest) Complete(totals wire.Totals) bool {
	return totals.Reason == wire.ReasonDone ||
		totals.Reason == wire.ReasonStopped && m.Sequential != nil && m.Undisturbed()
}

// Read reads the manifest of a stored run. A run of which any file is not as it was written is store.ErrDamaged: its
// samples and its reports are of one record.
func Read(f store.Folder) (Manifest, error) {
	if err := f.Whole(); err != nil {
		return Manifest{}, err
	}
	b, err := f.ReadFile(ManifestFile)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("read %s of run %s: %w", ManifestFile, f.ID, err)
	}
	if m.Schema != ManifestSchema {
		return Manifest{}, fmt.Errorf("read %s of run %s: its schema is %q, this version reads %s; "+
			"use the version that wrote it", ManifestFile, f.ID, m.Schema, ManifestSchema)
	}
	if m.After != nil && m.Before == nil {
		return Manifest{}, fmt.Errorf("read %s of run %s: it says how the split was after the run, and not before it",
			ManifestFile, f.ID)
	}
	m.Kind = cmp.Or(m.Kind, report.KindSplit)
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("read %s of run %s: %w", ManifestFile, f.ID, err)
	}
	m.Dir = f.Dir
	m.Witness.readPages(f)
	return m, nil
}

// maxStored bounds the lists of a stored manifest, far above what runs have: a split has at most 1,000 backends.
const maxStored = 10_000

// check refuses what no run writes, which must not panic or take minutes.
func (m *Manifest) check() error {
	for what, n := range map[string]int{
		"weights": len(m.Weights), "rules": len(m.Plan.Rules), "streams": len(m.Streams), "checks": len(m.Checks),
		"moves": len(m.Moves), "signatures": len(m.Signatures),
	} {
		if n > maxStored {
			return fmt.Errorf("it holds %d %s, and no run writes more than %d", n, what, maxStored)
		}
	}
	if err := m.Options.Validate(); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return nil
}

// Law is the law that the run is tested against; its zero value for runs of versions that did not know of any.
func (m *Manifest) Law() law.Law {
	if m.Before == nil {
		return law.Law{}
	}
	return m.Before.Law
}

// Step is one way that was tried, and what came of it.
type Step = report.SourceStep

// Sequential fixes, before the first counted request, when a run looks whether it can stop.
type Sequential struct {
	Every uint64 `json:"every"` // counted requests between two looks; the plan's number of requests is the last look
}

// Mark is one line of a run's marks.
type Mark struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Undisturbed reports whether nothing cut the run short and nothing failed.
func (m *Manifest) Undisturbed() bool { return m.Interrupted == "" && len(m.Failures) == 0 }

// Write writes the manifest into the run's folder, less what a run must not keep.
func (m Manifest) Write(folder *store.Run) error {
	b, err := json.MarshalIndent(m.Kept(), "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return folder.WriteFile(ManifestFile, append(b, '\n'))
}

// HeaderValue is the value of a header as a run keeps it: that there was one, and which only of headers that let nobody
// in anywhere.
func HeaderValue(name, value string) string {
	if untrusted.PublicHeader(name) {
		return untrusted.Masked(value)
	}
	return untrusted.Mask
}

func maskedHeader(h map[string]string) map[string]string {
	out := maps.Clone(h)
	for name, value := range out {
		out[name] = HeaderValue(name, value)
	}
	return out
}

// Kept is the manifest as it is stored and judged, live as later: without secrets.
func (m Manifest) Kept() Manifest {
	m.Plan.Header, m.Plan.URL = maskedHeader(m.Plan.Header), untrusted.Masked(m.Plan.URL)
	if m.Latency != nil {
		own := *m.Latency
		own.Targets = slices.Clone(own.Targets)
		for i, t := range own.Targets {
			own.Targets[i].Name, own.Targets[i].URL = untrusted.Masked(t.Name), untrusted.Masked(t.URL)
		}
		m.Latency = &own
	}
	snapshot := func(s *law.Snapshot) *law.Snapshot {
		if s == nil {
			return nil
		}
		own := *s
		p := &own.Law.Probe
		p.Header, p.Path = maskedHeader(p.Header), untrusted.Masked(p.Path)
		return &own
	}
	m.Before, m.After = snapshot(m.Before), snapshot(m.After)
	return m
}

// DrillFacts is what a drill saw besides its requests.
type DrillFacts struct {
	MaxLost   *int64         `json:"maxLost"`
	MaxOutage *time.Duration `json:"maxOutageNs"`
	Began     time.Time      `json:"began"` // instant 0 of the burst, by the clock of the machine that ran splitbench
	Events    []DrillFact    `json:"events"`
	Unwatched []string       `json:"unwatched,omitempty"`
}

// DrillFact is one mark or change.
type DrillFact struct {
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"` // mark, weights, endpoints or object
	Text    string          `json:"text"`
	Weights analyze.Weights `json:"weights,omitempty"` // from then on
}

// Kinds of a DrillFact.
const (
	FactMark      = "mark"
	FactWeights   = "weights"
	FactEndpoints = "endpoints"
	FactObject    = "object"
)

// LatencyPlan is what a stored comparison was to do.
type LatencyPlan struct {
	Targets    []LatencyTarget    `json:"targets"` // the one that the others are compared with is last
	Against    bool               `json:"against"` // there is one
	Rounds     int                `json:"rounds"`
	Round      time.Duration      `json:"roundNs"`
	Margin     analyze.Margin     `json:"margin"`
	MarginText string             `json:"marginText,omitempty"`
	Quantiles  []float64          `json:"quantiles,omitempty"` // that are judged; none: all of analyze.DefaultQuantiles
	Sweep      bool               `json:"sweep,omitempty"`
	Limit      *report.SweepLimit `json:"limit,omitempty"`
	Bursts     []LatencyBurst     `json:"bursts"` // in the order in which they were sent
}

// LatencyTarget is one target as it was found.
type LatencyTarget struct {
	Name  string        `json:"name"` // as given
	UID   string        `json:"uid"`
	URL   string        `json:"url"`
	Root  string        `json:"root,omitempty"` // the split whose root Service it is
	Own   int           `json:"own"`            // the split's backend that is the Service itself; -1: all answers count
	Rules []attack.Rule `json:"rules,omitempty"`
}

// LatencyBurst is one burst: a round of a target, or a step of a sweep.
type LatencyBurst struct {
	Target   int         `json:"target"`
	Round    int         `json:"round"`
	Rate     attack.Rate `json:"rate"`
	Requests uint64      `json:"requests"`
}

// MaxRounds bounds the rounds of a comparison of targets.
const MaxRounds = 500

// Move is a change of what the verdict rests on, seen while the run sent.
type Move struct {
	At     time.Time `json:"at"`    // when it was seen, by this machine's clock
	Since  time.Time `json:"since"` // earlier than At only where it was missed at first: when the stream was last alive
	What   string    `json:"what"`
	Before string    `json:"before"`
	After  string    `json:"after"`
	Law    bool      `json:"law"` // of an object that says the weights
	// Weights are the weights that proxies are told since, where they are others than before: set with the first write
	// that led to them, which may have been to another object than they are read from.
	Weights analyze.Weights `json:"weights,omitempty"`
}

// Clock is how far the source pod's clock is ahead of this machine's: between two bounds, in nanoseconds, which each
// answer that tells the pod's clock may bring closer.
type Clock struct {
	LowNs  int64 `json:"lowNs"`
	HighNs int64 `json:"highNs"`
	Known  bool  `json:"known"`
}

// See takes an answer into account: asked for at began, its instant written in it at pod, and here at ended.
func (c *Clock) See(began, ended time.Time, pod int64) {
	low, high := pod-ended.UnixNano(), pod-began.UnixNano()
	if !c.Known || low > c.HighNs || high < c.LowNs { // nothing in common: a clock was set
		*c = Clock{low, high, true}
		return
	}
	c.LowNs, c.HighNs = max(c.LowNs, low), min(c.HighNs, high)
}

// Local is an instant of the pod's clock on this machine's, give or take the second result.
func (c *Clock) Local(podNs int64) (time.Time, time.Duration) {
	return time.Unix(0, podNs-c.LowNs/2-c.HighNs/2), time.Duration(math.Abs(float64(c.HighNs-c.LowNs)) / 2)
}

// UsageError says that the command line or a local file is at fault: nothing was sent.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef is a UsageError with a formatted cause.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }
