package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// SummarySchema names the layout of a run's summary.json.
const SummarySchema = "splitbench.summary/v1"

// Kinds of stored runs: what was measured, and so what the other files of the folder mean.
const (
	KindSplit   = "split"   // do the shares follow the weights
	KindLatency = "latency" // what the gateway costs
	KindDrill   = "drill"   // what a failover does
)

// Summary is what a list of runs shows of each one: a few hundred bytes, so that a thousand runs are listed without
// reading a thousand reports. It says nothing that the report does not say.
type Summary struct {
	Schema    string            `json:"schema"`
	ID        string            `json:"id"`
	Kind      string            `json:"kind"`
	Outcome   string            `json:"outcome"`
	Subject   string            `json:"subject"` // namespace/name of what was measured
	Weights   string            `json:"weights,omitempty"`
	Started   time.Time         `json:"started"`
	Ended     time.Time         `json:"ended"`
	Requests  int64             `json:"requests"`
	Labels    map[string]string `json:"labels,omitempty"`
	Tool      string            `json:"tool"`
	Simulated bool              `json:"simulated"`

	Shares []HistoryValue `json:"shares,omitempty"` // of the first backends
	Costs  []HistoryValue `json:"costs,omitempty"`  // of the gateway at the median, in ms
}

// Summarize takes the summary of a run from its report.
func Summarize(r Report) Summary {
	s := Summary{Schema: SummarySchema, Kind: runKind(r), Outcome: r.Verdict.Outcome}
	if len(r.Backends) > 0 {
		s.Weights = weightsLabel(r)
	}
	s.Shares, s.Costs = sharesOf(r), costsOf(r.GatewayCost)
	d := r.document()
	s.Subject, s.Requests = d.subject(), d.requests()
	if r.Run != nil {
		s.ID, s.Started, s.Ended, s.Labels, s.Tool = r.Run.ID, r.Run.Started, r.Run.Ended, r.Run.Labels, r.Run.Tool
		s.Simulated = r.Run.Simulated != ""
	}
	return s
}

// WriteSummary gives the bytes of summary.json.
func WriteSummary(s Summary) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write summary: %w", err)
	}
	return append(b, '\n'), nil
}

// ErrNotSummary says that a file is no summary of ours.
var ErrNotSummary = errors.New("not a summary of a run")

// maxSummary bounds what ReadSummary takes.
const maxSummary = 1 << 20

// ReadSummary reads what WriteSummary wrote. Another kind of file is ErrNotSummary, another version ErrNewer; keys that
// are not known are passed over, because a list must also show the runs of a later version.
func ReadSummary(b []byte) (Summary, error) {
	var s Summary
	if len(b) > maxSummary {
		return s, fmt.Errorf("read summary: %w: larger than %d bytes", ErrNotSummary, maxSummary)
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&s); err != nil {
		return Summary{}, fmt.Errorf("read summary: %w: %w", ErrNotSummary, err)
	}
	if s.Schema != SummarySchema {
		if name, _, _ := strings.Cut(SummarySchema, "/"); strings.HasPrefix(s.Schema, name+"/") {
			return Summary{}, fmt.Errorf("read summary: version %q: %w, this one reads %q", s.Schema, ErrNewer, SummarySchema)
		}
		return Summary{}, fmt.Errorf("read summary: %w: its schema is %q", ErrNotSummary, s.Schema)
	}
	return s, nil
}

// Size is how many requests were counted, as people write it.
func (s Summary) Size() string { return count(s.Requests) }

// HasLabels reports whether the run has every one of the labels.
func (s Summary) HasLabels(want map[string]string) bool {
	for k, v := range want {
		if got, ok := s.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
