package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// Agreement says whether source pods, their nodes and their zones got the same shares, whatever these are. The verdict
// is about all pods together and does not depend on it.
type Agreement struct {
	Level float64    `json:"level"` // how small a corrected p must be to call them different
	Alike bool       `json:"alike"` // no test and no pod says otherwise
	Pods  *GroupTest `json:"pods,omitempty"`
	Nodes *GroupTest `json:"nodes,omitempty"` // absent with one node, a pod on each, or a pod whose node is not known
	Zones *GroupTest `json:"zones,omitempty"` // in the same way
	// pods whose share of a backend is not that of all others together: the first of them, the least likely first
	StandOut     []StandsOut `json:"standOut"`
	StandOutPods int         `json:"standOutPods"`  // how many in all
	Why          string      `json:"why,omitempty"` // why they were not compared
}

// GroupTest is one test of whether groups of requests got the same shares.
type GroupTest struct {
	Groups    int        `json:"groups"`    // with answers
	Test      *Statistic `json:"test"`      // of homogeneity; null where it cannot be made
	AdjustedP *float64   `json:"adjustedP"` // Holm over the tests of pods, nodes and zones
	Alike     bool       `json:"alike"`
	Furthest  *StandsOut `json:"furthest,omitempty"` // the node or zone that differs most, if one does by itself
	Why       string     `json:"why,omitempty"`      // why the test is not made
}

// StandsOut is a pod, node or zone whose share of a backend is not that of all others together.
type StandsOut struct {
	Pod         string      `json:"pod,omitempty"`
	Node        string      `json:"node,omitempty"`
	Zone        string      `json:"zone,omitempty"`
	Backend     string      `json:"backend"`
	Observed    int64       `json:"observed"` // answers of the backend
	Requests    int64       `json:"requests"` // with a known backend
	Share       float64     `json:"share"`
	OthersShare float64     `json:"othersShare"`
	AdjustedP   Probability `json:"adjustedP"` // Fisher's exact test, Holm over all pods and backends
}

// MostStandOut is how many pods that stand out are named.
const MostStandOut = 5

// agreementSentence says, to who knows no statistics, whether the pods got the same shares; empty where one sent.
func agreementSentence(r Report) string {
	if r.Source == nil || r.Source.Agreement == nil {
		return ""
	}
	a, pods := r.Source.Agreement, podsWhere(r.Source.Pods)
	switch {
	case a.Why != "":
		return fmt.Sprintf("The shares of %s were not compared: %s.", pods, a.Why)
	case !a.Alike:
		text := capital(strings.Join(a.differences(pods), "; ")) + "."
		if r.Verdict.Outcome == Pass || r.Verdict.Outcome == Fail {
			text += " The verdict is about all pods together, and stays."
		}
		return text
	}
	var chances []string
	for _, g := range a.tests() {
		if g.Test != nil && g.Test.Asymptotic != nil {
			chances = append(chances, fmt.Sprintf("between %s %s", g.what, percent(g.Test.Asymptotic.P)))
		}
	}
	if len(chances) == 0 {
		return fmt.Sprintf("None of %s stands out; they sent too little to compare all of them at once.", pods)
	}
	chance := listed(chances)
	if len(chances) == 1 {
		chance = strings.TrimPrefix(chance, "between pods ")
	}
	return fmt.Sprintf("%s agree: chance alone gives differences this large %s of the time.", pods, chance)
}

// podsWhere is "8 pods on 2 nodes in 2 zones", as far as that is known.
func podsWhere(pods []SourcePod) string {
	text := plural(int64(len(pods)), "pod")
	for _, in := range []struct {
		text, what string
		of         func(SourcePod) string
	}{
		{" on ", "node", func(p SourcePod) string { return p.Node }},
		{" in ", "zone", func(p SourcePod) string { return p.Zone }},
	} {
		names := map[string]bool{}
		for _, p := range pods {
			names[in.of(p)] = true
		}
		if !names[""] {
			text += in.text + plural(int64(len(names)), in.what)
		}
	}
	return text
}

// namedTest is a test with what it compares.
type namedTest struct {
	what string
	*GroupTest
}

// tests are those that there are.
func (a *Agreement) tests() []namedTest {
	all := []namedTest{{"pods", a.Pods}, {"nodes", a.Nodes}, {"zones", a.Zones}}
	return slices.DeleteFunc(all, func(t namedTest) bool { return t.GroupTest == nil })
}

// differences are who differs, and how.
func (a *Agreement) differences(pods string) (out []string) {
	if n := a.StandOutPods; n > 0 {
		text := fmt.Sprintf("%d of %s stand out", n, pods)
		if n == 1 {
			text = fmt.Sprintf("1 of %s stands out", pods)
		}
		for i, p := range a.StandOut {
			text += map[bool]string{true: ": ", false: ", "}[i == 0] + p.text()
		}
		if more := n - len(a.StandOut); more > 0 {
			text += fmt.Sprintf(", and %d more", more)
		}
		out = append(out, text)
	}
	for _, g := range a.tests() {
		switch {
		case g.Alike || g.what == "pods" && a.StandOutPods > 0:
		case g.Furthest != nil:
			out = append(out, g.what+" differ: "+g.Furthest.text())
		default:
			out = append(out, fmt.Sprintf("%s differ more than chance explains (corrected p %s), and none of them by itself",
				g.what, known(g.AdjustedP, statisticValue)))
		}
	}
	return out
}

// text says what a pod, node or zone got.
func (s StandsOut) text() string {
	var at []string
	for _, x := range [][2]string{{"pod", s.Pod}, {"node", s.Node}, {"zone", s.Zone}} {
		if x[1] != "" {
			at = append(at, x[0]+" "+x[1])
		}
	}
	name := strings.Join(at[:min(1, len(at))], "")
	if len(at) > 1 {
		name += " (" + strings.Join(at[1:], ", ") + ")"
	}
	return fmt.Sprintf("%s got %s of its answers from %s, all others %s (corrected %s)", name, percent(s.Share), s.Backend,
		percent(s.OthersShare), pText(&s.AdjustedP))
}

// SourceStep is one way by which the generator was to come to the source pod.
type SourceStep struct {
	Via  string `json:"via"`  // present | upload | curl | ephemeral
	Used bool   `json:"used"` // true: this is the one
	Seen string `json:"seen"` // what was found, or why it was no good
}

// podLines say that several pods sent, and of each that was not whole what became of it.
func podLines(r Report) (lines []string) {
	if r.Source == nil {
		return nil
	}
	if n := len(r.Source.Pods); n > 1 {
		text := podsWhere(r.Source.Pods)
		if r.Source.StartSkewMs > 0 {
			text += ", started within " + msText(r.Source.StartSkewMs) + " of each other"
		}
		lines = append(lines, text+" (each of them: -o wide)")
	}
	for _, p := range r.Source.Pods {
		parts := []string{plural(p.Requests, "request")}
		if p.Segments > 1 {
			parts = append(parts, fmt.Sprintf("%d segments", p.Segments))
		}
		if p.Lost > 0 {
			parts = append(parts, count(p.Lost)+" lost")
		}
		if p.Why != "" {
			parts = append(parts, "the pod was lost: "+p.Why)
		}
		if len(parts) > 1 {
			lines = append(lines, p.Pod+": "+strings.Join(parts, ", "))
		}
	}
	return lines
}

// podSections are what each source pod sent, and how the load generator got there.
func podSections(r Report) []Section {
	if r.Source == nil {
		return nil
	}
	var steps List
	for _, s := range r.Source.Steps {
		mark := "not used"
		if s.Used {
			mark = "used"
		}
		steps.Items = append(steps.Items, Item{Text: fmt.Sprintf("%s (%s): %s", s.Via, mark, s.Seen)})
	}
	agree := ""
	if a := r.Source.Agreement; a != nil && (a.Alike || a.Why != "") { // else it is among the warnings
		agree = agreementSentence(r)
	}
	return []Section{
		{ID: "agreement", Title: "Source pods", Blocks: []Block{Paragraph(agree)}},
		{ID: "pods", Title: "By source pod", Level: Comment, Folded: true, Blocks: []Block{podTable(r.Source.Pods)}},
		{
			ID: "steps", Title: "How the load generator got into the pod", Level: Comment, Folded: true,
			Blocks: []Block{steps},
		},
	}
}

func podTable(pods []SourcePod) Table {
	t := Table{
		Caption: "Requests by the pod that sent them.", Sortable: true,
		Columns: headings(3, "Source pod", "Node", "Zone", "Requests"),
	}
	if len(pods) == 0 {
		return t
	}
	for _, b := range pods[0].Backends {
		t.Columns = append(t.Columns, Column{Title: b.Name})
	}
	t.Columns = append(t.Columns, headings(0, "Unattributed", "Segments", "Lost", "Started late ms", "Clock ahead ms")...)
	for _, p := range pods {
		cells := append(row(p.Pod, cmp.Or(p.Node, dash), cmp.Or(p.Zone, dash)), countCell(p.Requests))
		for _, b := range p.Backends {
			cells = append(cells, observedCell(Backend{Observed: b.Observed, ObservedShare: b.ObservedShare}))
		}
		cells = append(cells, countCell(p.Unattributed), countCell(int64(p.Segments)), countCell(p.Lost),
			numberCell(msNumber(p.StartedMs), p.StartedMs), clockCell(p))
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// clockCell is how far a pod's clock is ahead, give or take what is not known.
func clockCell(p SourcePod) Cell {
	if p.ClockAheadMs == nil || p.ClockErrorMs == nil {
		return knownCell(nil, ms)
	}
	return numberCell(fmt.Sprintf("%s +-%s", signedMs(*p.ClockAheadMs), msNumber(*p.ClockErrorMs)), *p.ClockAheadMs)
}
