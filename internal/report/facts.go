package report

import (
	_ "embed" // the glossary
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// facts are when, where and by what, for the head of the page.
func facts(r Report) Fields {
	var f Fields
	if r.Run != nil && !r.Run.Started.IsZero() {
		f.add("When", r.Run.Started.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	if r.Source != nil {
		f.add("Cluster", r.Source.Context)
		if r.Source.Pod != "" {
			f.add("From pod", r.Source.Namespace+"/"+r.Source.Pod)
		}
	}
	if n, _ := requestsOf(r); n > 0 {
		f.add("Measured", size(r))
	}
	if r.Run != nil {
		f.add("Run", r.Run.ID)
		for _, l := range Labels(r.Run.Labels) {
			f.add("Label", l)
		}
	}
	return f
}

// whatRan says from where to where, how much and how fast, and how to find it again.
func whatRan(r Report) Fields {
	var f Fields
	f.add("Split", splitSentence(r.Split))
	f.add("From", sourceSentence(r.Source))
	f.add("In place of", runnersSentence(r.Source))
	for _, line := range podLines(r) {
		f.add("Pod", line)
	}
	if r.Run != nil {
		f.add("To", r.Run.URL)
	}
	f.add("Load", loadSentence(r.Load))
	f.add("Test", testSentence(r))
	f.add("Witness", witnessSentence(r.Witness))
	if r.Run != nil {
		f.add("Run", r.Run.ID)
		if r.Run.Dir != "" {
			f.add("Report", r.Run.Dir+"/report.html")
		}
		if r.Run.ID != "" {
			f.add("Next", untrusted.Shell(append([]string{"splitbench", "report", r.Run.ID, "-o", "markdown"},
				inFolder(r.Run.Dir)...)...))
		}
	}
	return f
}

// inFolder are the flags that name the folder of a run, where that is not the default.
func inFolder(run string) []string {
	if dir := filepath.Dir(run); run != "" && dir != "results" {
		return []string{"--results-dir", dir}
	}
	return nil
}

func splitSentence(s *Split) string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("%s %s/%s", s.Kind, s.Namespace, s.Name)
	switch {
	case s.Unchanged && s.GenerationAfter > 0: // it was changed and changed back, or something else of it was
		text += fmt.Sprintf(", generation %d, afterwards %d with the same weights", s.Generation, s.GenerationAfter)
	case s.Generation > 0 && s.Unchanged:
		text += fmt.Sprintf(", generation %d (unchanged during the run)", s.Generation)
	case s.Unchanged:
		text += " (unchanged during the run)"
	case s.Why != "":
		text += " (" + s.Why + ")"
	}
	if s.WeightsFrom != "" {
		text += ", weights from " + s.WeightsFrom
	}
	if l := s.Law; l != nil {
		if l.Rule != "" {
			text += " (" + l.Rule + ")"
		}
		text += ", " + law.NullModel(l.NullModel).Text() + toldClause(l.Told)
	}
	return text
}

// toldClause says who told the law, and when; nothing where it was worked out of the objects.
func toldClause(t *LawTold) string {
	if t == nil || !t.Heard {
		return ""
	}
	text := ", told by " + t.Pod
	if t.BeforeBurstMs > 0 {
		text += fmt.Sprintf(", %.1f s before the burst", float64(t.BeforeBurstMs)/1000)
	}
	if t.HeardAfter {
		text += " and again after it"
	}
	if len(t.WorkedOut) > 0 {
		var ws law.Weights
		for _, b := range t.WorkedOut {
			ws = append(ws, law.Weight{Service: b.Name, Weight: b.Weight})
		}
		return text + "; the objects say " + ws.String()
	}
	if t.Agrees {
		text += ", as the objects say"
	}
	return text
}

func sourceSentence(s *Source) string {
	if s == nil || s.Pod == "" {
		return ""
	}
	text := fmt.Sprintf("pod %s/%s", s.Namespace, s.Pod)
	if s.Container != "" {
		text += " (" + s.Container + ")"
	}
	if s.Meshed {
		text += ", meshed"
	} else {
		text += ", NOT meshed"
	}
	if s.ProxyImage != "" {
		text += ", proxy " + s.ProxyImage
	}
	if s.Context != "" {
		text += ", context " + s.Context
	}
	if s.Through != "" {
		text += "; the pods of " + s.Through + " draw the backend in its place"
	}
	return text
}

// runnersSentence says that the workload's own pods sent nothing.
func runnersSentence(s *Source) string {
	if s == nil || s.Runners == nil {
		return ""
	}
	r := s.Runners
	return fmt.Sprintf("%s: %s of Job %s stood in for it, with its ServiceAccount %s and image %s; its own pods sent "+
		"nothing",
		r.Workload, plural(int64(r.Pods), "runner pod"), r.Job, r.ServiceAccount, r.Image)
}

func loadSentence(l *Load) string {
	if l == nil {
		return ""
	}
	text := fmt.Sprintf("%s at %s", plural(l.Requests, "request"), rate(l.RatePerSecond))
	if l.DurationSeconds > 0 {
		text += " for " + seconds(l.DurationSeconds)
	}
	if l.WarmUpRequests > 0 {
		text += fmt.Sprintf(" after %s of warm-up", count(l.WarmUpRequests))
	}
	if l.Connections > 0 {
		text += ", " + plural(l.Connections, "connection")
	}
	if l.SendLag.P99Us != nil {
		text += fmt.Sprintf("; 99 of 100 sent within %s of the plan", micros(l.SendLag.P99Us))
	}
	return text
}

func testSentence(r Report) string {
	if r.Verdict.Alpha == 0 {
		return ""
	}
	if r.Verdict.Gate == "chisquare" {
		return fmt.Sprintf("chi-square, wrong fails at most %s of runs", percent(r.Verdict.Alpha))
	}
	text := ""
	for i, t := range r.Verdict.Tolerance {
		if i > 0 && t.Points != r.Verdict.Tolerance[0].Points {
			text = "each share within its own tolerance"
			break
		}
		text = fmt.Sprintf("each share within %s of its weight", points(t.Points))
	}
	if text == "" {
		return ""
	}
	return text + fmt.Sprintf(", wrong verdicts at most %s of runs", percent(r.Verdict.Alpha))
}

func writerSentence(s *Split) string {
	if s == nil || s.LastWriter == "" {
		return ""
	}
	text := "Last written by " + s.LastWriter
	if !s.LastWritten.IsZero() {
		text += " on " + s.LastWritten.UTC().Format(time.DateTime) + " UTC"
	}
	return text + "."
}

// Labels are the labels of a run, each as KEY=VALUE, in the order of their keys.
func Labels(m map[string]string) []string {
	var s []string
	for _, k := range sortedKeys(m) {
		s = append(s, k+"="+m[k])
	}
	return s
}

// footer names tool, run and time.
func footer(r Report) string {
	if r.Run == nil {
		return ""
	}
	s := "splitbench"
	if r.Run.Tool != "" {
		s += " " + r.Run.Tool
	}
	if r.Run.ID != "" {
		s += ", run " + r.Run.ID
	}
	if !r.Run.Started.IsZero() {
		s += ", " + r.Run.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	return s
}

// statistics are the numbers behind the verdict, one line each.
func statistics(r Report) []string {
	var s []string
	v := r.Verdict
	if v.Alpha > 0 {
		s = append(s, fmt.Sprintf("gate %s, alpha %g, power %g", v.Gate, v.Alpha, v.Power))
	}
	if v.Match != nil && v.Differs != nil {
		s = append(s, fmt.Sprintf("tolerance: %s that the shares are within it, %s that one is not (small means shown)",
			pText(v.Match), pText(v.Differs)))
	}
	if g := r.GoodnessOfFit; g != nil {
		s = append(s, statisticText("chi-square (Pearson)", g.Pearson), statisticText("G", g.G))
		effect := fmt.Sprintf("effect: total variation %s, largest gap %s",
			statisticValue(g.TotalVariation), points(g.MaxDeviationPoints))
		if g.CohensW != nil {
			effect += fmt.Sprintf(", Cohen's w %s", statisticValue(*g.CohensW))
		}
		s = append(s, effect)
	}
	for _, b := range r.Backends {
		if b.AdjustedP != nil && b.StandardizedResidual != nil {
			s = append(s, fmt.Sprintf("%s: standardized residual %s, %s (Holm)", b.Name,
				statisticValue(*b.StandardizedResidual), pText(b.AdjustedP)))
		}
	}
	for _, d := range r.Diagnostics {
		s = append(s, fmt.Sprintf("%s: %s (%s)", d.Name, d.Text, d.Effect))
	}
	return s
}

func statisticText(name string, s Statistic) string {
	if s.Statistic == nil {
		return fmt.Sprintf("%s: none, %s", name, s.Why)
	}
	text := fmt.Sprintf("%s %s, df %d", name, statisticValue(*s.Statistic), s.DF)
	if s.Exact != nil {
		text += fmt.Sprintf(", %s (%s)", pText(s.Exact), s.Exact.Method)
	}
	if s.Asymptotic != nil {
		text += fmt.Sprintf(", %s (asymptotic)", pText(s.Asymptotic))
	}
	return text
}

// pText is for details only. Where p underflows its logarithm still says how small it is.
func pText(p *Probability) string {
	switch {
	case p.P > 0:
		return "p " + statisticValue(p.P)
	case p.LnP != nil:
		return "ln p " + statisticValue(*p.LnP)
	}
	return "p 0"
}

//go:embed glossary.txt
var glossaryText string

// glossary says what the words of a report mean, to a reader who knows no statistics.
func glossary() Fields {
	var f Fields
	for line := range strings.Lines(glossaryText) {
		word, meaning, _ := strings.Cut(strings.TrimSpace(line), ": ")
		f.add(word, meaning)
	}
	return f
}
