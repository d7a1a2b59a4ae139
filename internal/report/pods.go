package report

import (
	"fmt"
	"strings"
)

// SourcePod is what one source pod sent, where several sent or where one was taken up again.
type SourcePod struct {
	Pod          string     `json:"pod"`
	Agent        string     `json:"agent"`     // how its generator came there
	Transport    string     `json:"transport"` // websocket | spdy
	Segments     int        `json:"segments"`  // sessions that carried out its part of the plan; above 1 its stream broke
	Requests     int64      `json:"requests"`
	Lost         int64      `json:"lost"` // of them: may have been sent, and their results did not arrive
	Unattributed int64      `json:"unattributed"`
	Backends     []PodShare `json:"backends"` // in the order of the split
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

// NewSourcePod works out the shares of counts, which are aligned to names.
func NewSourcePod(p SourcePod, names []string, counts []int64) SourcePod {
	var known int64
	for _, n := range counts {
		known += n
	}
	for i, name := range names {
		s := PodShare{Name: name, Observed: counts[i]}
		if known > 0 {
			s.ObservedShare = finite(float64(counts[i]) / float64(known))
		}
		p.Backends = append(p.Backends, s)
	}
	p.Requests = known + p.Unattributed
	return p
}

// podLines say what each source pod sent, one line each.
func podLines(r Report) []string {
	if r.Source == nil {
		return nil
	}
	var lines []string
	for _, p := range r.Source.Pods {
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
		lines = append(lines, p.Pod+": "+strings.Join(parts, ", "))
	}
	return lines
}

// podTable is the same as a Markdown table.
func podTable(r Report) string {
	if r.Source == nil || len(r.Source.Pods) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| Source pod | Requests |")
	rule := "\n|---|--:|"
	for _, x := range r.Source.Pods[0].Backends {
		fmt.Fprintf(&b, " %s |", x.Name)
		rule += "--:|"
	}
	b.WriteString(" Unattributed | Segments | Lost |" + rule + "--:|--:|--:|")
	for _, p := range r.Source.Pods {
		fmt.Fprintf(&b, "\n| %s | %s |", p.Pod, count(p.Requests))
		for _, x := range p.Backends {
			fmt.Fprintf(&b, " %s", count(x.Observed))
			if x.ObservedShare != nil {
				fmt.Fprintf(&b, " (%s)", shareColumn(*x.ObservedShare))
			}
			b.WriteString(" |")
		}
		fmt.Fprintf(&b, " %s | %d | %s |", count(p.Unattributed), p.Segments, count(p.Lost))
	}
	return b.String()
}

// stepLines say by which ways the generator was to come to the pod.
func stepLines(r Report) string {
	if r.Source == nil {
		return ""
	}
	var lines []string
	for _, s := range r.Source.Steps {
		mark := "not used"
		if s.Used {
			mark = "used"
		}
		lines = append(lines, fmt.Sprintf("- %s (%s): %s", s.Via, mark, s.Seen))
	}
	return strings.Join(lines, "\n")
}
