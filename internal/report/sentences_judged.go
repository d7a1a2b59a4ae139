package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Sentences of what was judged: their words are data of the document, escaped later.

// FailedCheck says which check forbids a verdict.
func FailedCheck(c preflight.Result) string {
	text := "check failed: " + c.Name
	if c.Seen != "" {
		text += " (" + c.Seen + ")"
	}
	if c.CausedBy != "" {
		text += ", which follows from " + c.CausedBy
	}
	return text
}

// AnsweredByProxy says that the client's proxy answers a backend's share itself, how often it was to and how often it
// did.
func AnsweredByProxy(b law.Leaf, answered, of int64) string {
	return fmt.Sprintf("the client's proxy itself answers %s of the requests with status %d in place of %s (%s), as %s "+
		"of "+
		"%s were: they reach no backend, so that clients do not get the split", percent(b.Probability), b.ProxyStatus,
		b.Name, b.Problem, count(answered), count(of))
}

// CutShort says what ended a run early, after so many requests. end is the end of the burst by the generator, if it is
// known.
func CutShort(by string, kept int64, end string) string {
	s := fmt.Sprintf("the run was cut short (%s) after %s", by, plural(kept, "request"))
	if end != "" && end != by && end != "done" {
		s += ", end of the burst: " + end
	}
	return s
}

// NoAnswers says that nothing came of the requests.
func NoAnswers(sent int64) string {
	if sent == 0 {
		return "no request was sent"
	}
	return fmt.Sprintf("0 of %s were answered by a known backend", plural(sent, "request"))
}

// Overloaded says that the generator sent fewer requests per second than were planned.
func Overloaded(sent, planned float64) string {
	return fmt.Sprintf("the generator was overloaded: it sent %s requests per second, %s were planned", threeDigits(sent),
		threeDigits(planned))
}

// threeDigits writes a number with three digits, or all before the point where there are more.
func threeDigits(x float64) string {
	if x >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// CombinedEvidence says what runs show together against exactly the declared weights: their evidence, exp(lnE), and
// whether it is too little. looked: one of them stopped at what it saw.
func CombinedEvidence(runs int, lnE float64, little, looked bool) string {
	p := fmt.Sprintf("%.2g", math.Exp(-lnE))
	switch digits := lnE / math.Ln10; {
	case lnE <= 0:
		p = "1"
	case math.IsInf(lnE, 1):
		p = "0: a backend of weight 0 answered"
	case digits > 300: // too small for a float
		p = fmt.Sprintf("below 1e-%d", int(digits))
	}
	text := fmt.Sprintf("%d runs together are evidence that the shares are not exactly the declared ones (p %s), "+
		"which need not mean that they are outside tolerance.", runs, p)
	if little {
		text = fmt.Sprintf("%d runs together are no evidence against the declared weights (p %s).", runs, p)
	}
	text += " This holds however many runs are added and for whatever reason"
	if !looked {
		text += "; the verdict takes their number as fixed beforehand"
	}
	return text + "."
}

// maxNamed is how many runs a sentence can hold.
const maxNamed = 5

// RunsAlike says that runs which are judged together do not differ.
func RunsAlike(ids []string) string {
	named := strings.Join(ids[:min(len(ids), maxNamed)], ", ")
	if more := len(ids) - maxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("the %d runs are alike: %s", len(ids), named)
}

// CheckCommand is the command that says what is wrong with a split, of any split where it is nil. It looks at the
// clusters and the client pod that the snapshot is of.
func CheckCommand(s *Split, snap *law.Snapshot) string {
	if s == nil {
		return "splitbench check"
	}
	words := []string{"splitbench", "check", law.ShortName(law.Path(s.Kind), s.Name), "-n", s.Namespace}
	if snap == nil {
		return untrusted.Shell(words...)
	}
	for _, c := range snap.Clusters {
		flag := "--context"
		if c.Role != "client" {
			flag = "--remote-context"
		}
		if c.Context != "" {
			words = append(words, flag, untrusted.Safe(c.Context))
		}
	}
	for _, flag := range []string{"--from", "-l"} {
		if what, ok := strings.CutPrefix(snap.Source.Workload, flag+" "); ok {
			words = append(words, flag, what)
		}
	}
	if strings.HasPrefix(snap.Source.Workload, "pod/") {
		words = append(words, "--from", snap.Source.Workload)
	}
	return untrusted.Shell(words...)
}

// Say fills in the sentence: the difference at the median in words, or that none is proven.
func (c *BackendCost) Say(reference string) {
	way := "through the gateway"
	if c.Path != PathGateway {
		way = "from the other cluster"
	}
	who := fmt.Sprintf("Answers %s (%s)", way, c.Backend)
	for _, q := range c.Quantiles {
		if q.Quantile != 0.5 {
			continue
		}
		if q.Ms == nil || q.LowMs == nil || q.HighMs == nil {
			c.Sentence = fmt.Sprintf("%s and those of %s cannot be compared at the median: it %s.", who, reference, q.Why)
			return
		}
		d, low, high := *q.Ms, *q.LowMs, *q.HighMs
		switch {
		case low > 0:
			c.Sentence = fmt.Sprintf("%s take %s longer at the median, range %s to %s.", who, msText(d), msNumber(low),
				msNumber(high))
		case high < 0:
			c.Sentence = fmt.Sprintf("%s take %s less at the median, range %s to %s.", who, msText(-d), msNumber(-high),
				msNumber(-low))
		default:
			c.Sentence = fmt.Sprintf("%s: no difference proven at the median, range %s to %s.", who, msNumber(low), msText(high))
		}
		return
	}
}

// words are "slower by 1.2 ms (range 0.4 to 2.0)" with the words for more and less, and the name of the range.
func (d Difference) words(proven bool, more, less, span string, number func(float64) string) string {
	switch {
	case d.Ms == nil || d.LowMs == nil || d.HighMs == nil:
		return fmt.Sprintf("not known (%s)", d.Why)
	case !proven:
		return fmt.Sprintf("no difference proven (%s %s to %s ms)", span, number(*d.LowMs), number(*d.HighMs))
	case *d.Ms < 0:
		return fmt.Sprintf("%s by %s (%s %s to %s)", less, msText(-*d.Ms), span, msNumber(-*d.HighMs), msNumber(-*d.LowMs))
	}
	return fmt.Sprintf("%s by %s (%s %s to %s)", more, msText(*d.Ms), span, msNumber(*d.LowMs), msNumber(*d.HighMs))
}

// Say fills in the sentence: each quantile's difference in the words for more and less.
func (d *TargetDifference) Say(more, less string) {
	var parts []string
	for _, q := range d.Quantiles {
		proven := q.Direction != analyze.DirectionNone
		parts = append(parts, quantileName(q.Quantile)+" "+q.words(proven, more, less, "range", msNumber))
	}
	d.Sentence = fmt.Sprintf("%s against %s: %s.", d.Target, d.Than, strings.Join(parts, "; "))
}

// Say fills in the sentence: each quantile's change in the words for more and less.
func (t *TimeChange) Say(more, less string) {
	var parts []string
	for _, q := range t.Quantiles {
		if q.Outcome == "" && (q.LowMs == nil || q.HighMs == nil) {
			continue // shown only, and not known
		}
		parts = append(parts, quantileName(q.Quantile)+" "+q.words(q.Different, more, less, "likely", signedMs))
	}
	t.Sentence = t.Name + ": " + strings.Join(parts, "; ")
	if len(parts) == 0 {
		t.Sentence += t.Why
	}
}

// Say fills in the sentence.
func (s *ShareChange) Say() {
	switch {
	case s.BaseWeight == nil:
		s.Sentence = s.Backend + " is new in the split"
		return
	case s.NewWeight == nil:
		s.Sentence = s.Backend + " is no longer in the split"
		return
	case s.Points == nil:
		s.Sentence = s.Backend + ": the shares are not known in both runs"
		return
	}
	s.Sentence = fmt.Sprintf("%s: no difference proven (likely %s to %s points)", s.Backend, signed(*s.LowPoints),
		signed(*s.HighPoints))
	if *s.LowPoints > 0 || *s.HighPoints < 0 {
		s.Sentence = fmt.Sprintf("%s: %s points (likely %s to %s)",
			s.Backend, signed(*s.Points), signed(*s.LowPoints), signed(*s.HighPoints))
	}
	if s.Outcome == "" {
		s.Sentence += "; its weight was changed, so this is not judged"
	}
}
