package report

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// SourcePod is what one source pod sent, where several sent or one was resumed.
type SourcePod struct {
	Pod       string `json:"pod"`
	Node      string `json:"node,omitempty"`
	Zone      string `json:"zone,omitempty"` // of the node
	Agent     string `json:"agent"`          // how its generator came there
	Transport string `json:"transport"`      // websocket | spdy
	// sessions that carried out its part of the plan; above 1 its stream broke
	Segments     int        `json:"segments"`
	Requests     int64      `json:"requests"`
	Lost         int64      `json:"lost"` // of them: were not sent, or may have been, and have no result
	Unattributed int64      `json:"unattributed"`
	Backends     []PodShare `json:"backends"`      // in the order of the split
	Why          string     `json:"why,omitempty"` // why it was lost, and did not carry out its part
	// StartedMs is how much later than all pods were let go it began, at most. ClockAheadMs is how far its clock is ahead
	// of this machine's, give or take ClockErrorMs; null where that is not known.
	StartedMs    float64  `json:"startedMs,omitempty"`
	ClockAheadMs *float64 `json:"clockAheadMs,omitempty"`
	ClockErrorMs *float64 `json:"clockErrorMs,omitempty"`
}

// PodShare is what a backend got of one source pod's requests.
type PodShare struct {
	Name          string   `json:"name"`
	Observed      int64    `json:"observed"`
	ObservedShare *float64 `json:"observedShare"` // of those with a known backend; null where there are none
}

// SourceStep is one way by which the generator was to come to the source pod.
type SourceStep struct {
	Via  string `json:"via"`  // present | upload | curl | ephemeral
	Used bool   `json:"used"` // true: this is the one
	Seen string `json:"seen"` // what was found, or why it was no good
}

// podLines say what each source pod sent, one line each.
func podLines(r Report) []string {
	if r.Source == nil {
		return nil
	}
	var lines []string
	if n := len(r.Source.Pods); n > shownPods {
		lines = append(lines, fmt.Sprintf("%d pods sent; each that was not whole, and all of them in the page's table", n))
	}
	for _, p := range r.Source.Pods {
		if len(r.Source.Pods) > shownPods && p.Segments < 2 && p.Lost == 0 {
			continue
		}
		parts := []string{plural(p.Requests, "request")}
		for _, b := range p.Backends {
			text := fmt.Sprintf("%s %s", b.Name, count(b.Observed))
			if b.ObservedShare != nil {
				text += " (" + shareColumn(*b.ObservedShare) + ")"
			}
			parts = append(parts, text)
		}
		if p.Unattributed > 0 {
			parts = append(parts, count(p.Unattributed)+" without a known backend")
		}
		if p.Segments > 1 {
			parts = append(parts, fmt.Sprintf("%d segments", p.Segments))
		}
		if p.Lost > 0 {
			parts = append(parts, count(p.Lost)+" lost")
		}
		if p.Why != "" {
			parts = append(parts, "the pod was lost: "+p.Why)
		}
		lines = append(lines, p.Pod+": "+strings.Join(parts, ", "))
	}
	if r.Source.StartSkewMs > 0 {
		lines = append(lines, "they started within "+msText(r.Source.StartSkewMs)+" of each other")
	}
	return lines
}

// shownPods are so many that each has a line of its own.
const shownPods = 16

// podSections are what each source pod sent, and how the load generator got there.
func podSections(r Report) []Section {
	if r.Source == nil {
		return nil
	}
	var agree []Block
	for _, d := range r.Diagnostics {
		if d.Name == analyze.DiagnosticPods && len(r.Source.Pods) > 0 {
			text := d.Text
			if d.OK {
				text = "the pods agree: the shares that each of them saw differ by no more than chance"
			}
			agree = append(agree, Paragraph(capital(strings.TrimSuffix(text, "."))+"."))
		}
	}
	var steps List
	for _, s := range r.Source.Steps {
		mark := "not used"
		if s.Used {
			mark = "used"
		}
		steps.Items = append(steps.Items, Item{Text: fmt.Sprintf("%s (%s): %s", s.Via, mark, s.Seen)})
	}
	return []Section{
		{ID: "pods", Title: "By source pod", Level: Comment, Folded: true, Blocks: append(agree, podTable(r.Source.Pods))},
		{
			ID: "steps", Title: "How the load generator got into the pod", Level: Comment, Folded: true,
			Blocks: []Block{steps},
		},
	}
}

func podTable(pods []SourcePod) Table {
	t := Table{
		Caption: "Requests by the pod that sent them.", Sortable: true, Columns: headings(1, "Source pod", "Requests"),
	}
	if len(pods) == 0 {
		return t
	}
	for _, b := range pods[0].Backends {
		t.Columns = append(t.Columns, Column{Title: b.Name})
	}
	t.Columns = append(t.Columns, headings(0, "Unattributed", "Segments", "Lost")...)
	for _, p := range pods {
		cells := append(row(p.Pod), countCell(p.Requests))
		for _, b := range p.Backends {
			cells = append(cells, observedCell(Backend{Observed: b.Observed, ObservedShare: b.ObservedShare}))
		}
		t.Rows = append(t.Rows, append(cells, countCell(p.Unattributed), countCell(int64(p.Segments)), countCell(p.Lost)))
	}
	return t
}
