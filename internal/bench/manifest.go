package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
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
	Agent      AgentFacts        `json:"agent"`
	Witness    *WitnessFacts     `json:"witness,omitempty"` // nil: not asked for

	Streams []Stream `json:"streams,omitempty"` // where there is more than one

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

// AgentFacts is how the agent came to the pod and what it said of itself.
type AgentFacts struct {
	How       string            `json:"how"`
	Steps     []Step            `json:"steps,omitempty"` // of the ladder, in order
	Transport string            `json:"transport"`
	Hello     wire.HelloMessage `json:"hello"`
}

// refused reports whether the run ended before its first request.
func (m *Manifest) refused() bool {
	for _, c := range m.Checks {
		if c.Failure() {
			return true
		}
	}
	return len(m.Failures) > 0 || m.Interrupted != ""
}

// complete reports whether the burst ended as the plan wanted: all was sent, or a look decided and it was stopped.
func (m *Manifest) complete(totals wire.Totals) bool {
	return totals.Reason == wire.ReasonDone ||
		totals.Reason == wire.ReasonStopped && m.Sequential != nil && m.Interrupted == "" && len(m.Failures) == 0
}

func (r *run) writeManifest(folder *store.Run) error {
	b, err := json.MarshalIndent(r.m.kept(), "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return folder.WriteFile(ManifestFile, append(b, '\n'))
}

// readManifest reads the manifest of a stored run.
func readManifest(f store.Folder) (Manifest, error) {
	b, err := f.ReadFile(ManifestFile)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("read %s of run %s: %w", ManifestFile, f.ID, err)
	}
	if m.Schema != ManifestSchema {
		return Manifest{}, fmt.Errorf("read %s of run %s: its schema is %q, this version reads %s; use the version that wrote it",
			ManifestFile, f.ID, m.Schema, ManifestSchema)
	}
	if m.After != nil && m.Before == nil {
		return Manifest{}, fmt.Errorf("read %s of run %s: it says how the split was after the run, and not before it", ManifestFile, f.ID)
	}
	if m.Kind == "" {
		m.Kind = report.KindSplit
	}
	m.Dir = f.Dir
	m.Witness.readPages(f)
	return m, nil
}

// maxLog bounds what a run keeps of the agent's stderr, in bytes.
const maxLog = 256 << 10

// runLog keeps what the agent said on stderr, for exec.log, and passes it on.
type runLog struct {
	mu   sync.Mutex
	next io.Writer
	b    strings.Builder
}

func newRunLog(next io.Writer) *runLog {
	if next == nil {
		next = io.Discard
	}
	return &runLog{next: next}
}

// Write implements io.Writer. It never fails: a log must not end a run.
func (l *runLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len()+len(p) <= maxLog {
		l.b.Write(p)
	}
	for _, line := range strings.Split(strings.TrimRight(string(p), "\n"), "\n") {
		fmt.Fprintf(l.next, "agent: %s\n", untrusted.Safe(line))
	}
	return len(p), nil
}

// say keeps a line of our own and passes it on.
func (l *runLog) say(text string) {
	l.keep(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.next, "splitbench: %s\n", untrusted.Safe(text))
}

// keep keeps a line of our own.
func (l *runLog) keep(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len()+len(text) < maxLog {
		l.b.WriteString(text + "\n")
	}
}

func (l *runLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []byte(l.b.String())
}
