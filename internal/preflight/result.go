package preflight

import "slices"

// Status is the state of a check after it ran.
type Status string

// The states. Unknown is never green: what could not be seen has not been shown to work.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
	Unknown Status = "unknown"
)

// Severity says what a failed check does to a run.
type Severity string

// The severities.
const (
	Fatal Severity = "fatal" // the split cannot be measured, or what is measured is not what is declared
	Warn  Severity = "warn"  // the result needs the note
)

// Result is one check as it ended: plain data, rendered and stored as it is.
type Result struct {
	ID       string   `json:"id"`       // e.g. "SB002"
	Category string   `json:"category"` // e.g. "client", "split", "backends", "mirror", "access"
	Name     string   `json:"name"`     // what holds when it is green, e.g. "client pod is meshed"
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	Seen     string   `json:"seen"`            // what was seen, one sentence
	Hint     string   `json:"hint,omitempty"`  // what to do, with the command; empty when ok
	Apply    string   `json:"apply,omitempty"` // YAML that fixes it, where no short kubectl command does
	// CausedBy is the id of the check whose finding explains this one; empty: it is a root cause. Fix that one first.
	CausedBy string `json:"causedBy,omitempty"`
	// Waived is the user's word to go on in spite of it; empty: there is none.
	Waived string `json:"waived,omitempty"`
}

// Waive lets the findings of the checks with these ids stand without forbidding a verdict, and with each what follows
// from it. what is how the user said so. Only failures are waived: the rest forbids nothing. It returns the ids that
// name no check.
func Waive(results []Result, ids []string, what string) (unknown []string) {
	for i := range results {
		r := &results[i]
		if waived := func(id string) bool { return id != "" && slices.Contains(ids, id) }; r.Failure() &&
			(waived(r.ID) || waived(r.CausedBy)) {
			r.Waived = what
		}
	}
	for _, id := range ids {
		if _, exists := Explain(id); !exists && !slices.ContainsFunc(results, func(r Result) bool { return r.ID == id }) {
			unknown = append(unknown, id)
		}
	}
	return unknown
}

// Failure reports whether the result forbids a verdict.
func (r Result) Failure() bool { return r.Status == Failed && r.Severity == Fatal && r.Waived == "" }
