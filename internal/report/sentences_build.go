package report

import (
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// Sentences that Build puts into the Report: their words are data, escaped later.

func failedCheck(c preflight.Result) string {
	follows := ""
	if c.CausedBy != "" {
		follows = ", which follows from " + c.CausedBy
	}
	if c.Seen == "" {
		return "check failed: " + c.Name + follows
	}
	return fmt.Sprintf("check failed: %s (%s)%s", c.Name, c.Seen, follows)
}

func interruptedReason(by string, kept int64, end string) string {
	s := fmt.Sprintf("the run was cut short (%s) after %s", by, plural(kept, "request"))
	if end != "" && end != by && end != "done" {
		s += ", end of the burst: " + end
	}
	return s
}

func changedReason(why string) string {
	return "what was measured is not one split: " + why
}

func noAnswersReason(sent int64) string {
	if sent == 0 {
		return "no request was sent"
	}
	return fmt.Sprintf("0 of %s were answered by a known backend", plural(sent, "request"))
}

func tooFewForQuantile(q float64, need int) string {
	return fmt.Sprintf("the %g %% quantile and those above it need at least %s answers", q*100, count(int64(need)))
}

// remediesOf say what to do, in order. Every outcome but a pass has at least one.
func remediesOf(in Input, r *Report, outcome string) []string {
	remedies := slices.Clone(in.Remedies)
	add := func(s string) {
		if s != "" && !slices.Contains(remedies, s) {
			remedies = append(remedies, s)
		}
	}
	if outcome == Pass {
		return list(remedies)
	}
	for _, c := range failedChecks(in.Checks) {
		if c.CausedBy == "" {
			add(c.Hint)
		}
	}
	check := "splitbench check"
	if r.Split != nil {
		check = shellJoin([]string{"splitbench", "check", law.ShortName(law.Path(r.Split.Kind), r.Split.Name), "-n", r.Split.Namespace})
	}
	switch outcome {
	case Fail:
		if r.Split == nil {
			add("compare what was sent with what proxies obey")
			break
		}
		add("see which object the proxies obey and what is wrong with it: " + check)
	case Inconclusive:
		add(inconclusiveRemedy(in))
	case Invalid:
		switch {
		case len(remedies) > 0:
		case in.Interrupted != "":
			add("run it again; what was measured so far is kept and is not a verdict")
		case r.Split != nil && in.After != nil && !r.Split.Unchanged:
			add("wait until the split is no longer being changed, then run it again")
		case r.Split != nil:
			add("find the cause: " + check)
		case len(in.Invalid) > 0:
			add("mend what the reason names, then run it again")
		default:
			add("give at least one request with a known backend")
		}
	}
	return list(remedies)
}

func inconclusiveRemedy(in Input) string {
	for _, d := range in.Diagnostics {
		if !d.OK && d.Effect == EffectDowngrade {
			return "remove that cause, then run it again"
		}
	}
	if in.Decision == nil {
		return ""
	}
	d := in.Decision
	have := totalOf(in)
	switch onTarget, asObserved := d.NeededIfOnTarget.Requests, d.NeededIfAsObserved.Requests; {
	case d.Unattributed.Decides:
	case onTarget > have:
		return fmt.Sprintf("run it again with --requests %d", onTarget)
	case onTarget > 0 && asObserved > have:
		return fmt.Sprintf("decide whether a share like this is right: set --tolerance wider or narrower, "+
			"or run it again with --requests %d", asObserved)
	case onTarget > 0:
		return "decide whether a share like this is right, and set --tolerance wider or narrower"
	case asObserved > have:
		return fmt.Sprintf("run it again with --requests %d", asObserved)
	}
	return "find out why requests have no known backend, or allow a wider --tolerance"
}
