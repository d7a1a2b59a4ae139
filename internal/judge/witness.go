package judge

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/witness"
)

// Proxies are what the proxies of the pods that send did between two readings of each.
type Proxies struct {
	witness.Delta // of all of them together

	each []proxyOf
	err  error // why nothing is known
}

// proxyOf is what one pod's proxy did.
type proxyOf struct {
	pod  string
	did  witness.Delta
	sent int64 // requests that were sent in that pod
}

// proxiesOf reads the pages of each pod's proxy.
func proxiesOf(w *record.WitnessFacts, m record.Manifest, sent int64) Proxies {
	var all Proxies
	target := witness.TargetOf(*m.Before)
	if len(w.Pods) == 0 {
		all.err = witness.ErrNoCounters
	}
	for i, p := range w.Pods {
		d, err := deltaOf(p, w.Kind, target)
		if all.err == nil {
			all.err = err
		}
		part := sent
		if len(w.Pods) > 1 {
			part = min(sent, int64(record.PartOf(m.Plan, i, len(w.Pods)).Requests))
		}
		all.each = append(all.each, proxyOf{p.Pod, d, part})
		if i == 0 {
			all.Delta = d
		} else {
			all.Delta = all.Plus(d)
		}
	}
	return all
}

func deltaOf(p record.ProxyPages, kind witness.Kind, t witness.Target) (witness.Delta, error) {
	before, err1 := witness.Parse(bytes.NewReader(p.Before), kind, t)
	after, err2 := witness.Parse(bytes.NewReader(p.After), kind, t)
	if err := errors.Join(err1, err2); err != nil {
		return witness.Delta{}, err
	}
	return witness.Compare(before, after, t, time.Duration(p.ElapsedMs)*time.Millisecond)
}

// findings are those of all proxies together, and what only some of them show, each with the pods that it is of.
func (p Proxies) findings(t witness.Target, expect law.Path, sent int64) []witness.Finding {
	fs := p.Findings(t, expect, sent)
	if len(p.each) < 2 {
		return fs
	}
	for _, one := range p.each {
		for _, f := range one.did.Findings(t, expect, one.sent) {
			known := slices.ContainsFunc(fs, func(x witness.Finding) bool { return x.Code == f.Code })
			if f.Effect == witness.Invalid && !known {
				fs = append(fs, f)
			}
		}
	}
	for i := range fs {
		var pods []string
		for _, one := range p.each {
			found := one.did.Findings(t, expect, one.sent)
			if slices.ContainsFunc(found, func(x witness.Finding) bool { return x.Code == fs[i].Code }) {
				pods = append(pods, one.pod)
			}
		}
		if n := len(pods); n > 0 && n < len(p.each) {
			fs[i].Text += fmt.Sprintf(report.SayOfPods, len(p.each), strings.Join(pods, ", "))
		}
	}
	return fs
}

// spoils reports whether a finding takes the result of a run of that kind away. A drill is about backends that die, and
// a comparison of times about each of its targets by itself.
func spoils(kind string, f witness.Finding) bool {
	switch {
	case f.Effect != witness.Invalid:
		return false
	case kind == report.KindDrill:
		return f.Code != witness.CodeRedistributed
	case kind == report.KindLatency:
		return f.Code == witness.CodeRestarted
	case kind == report.KindWatch: // which goes on from proxy to proxy, and has its own word for a path that is stale
		return false
	}
	return true
}

// hear has the report of a run of any kind say what the proxies of its pods counted, and what that means for it. sent
// are the requests to the root Service between the two readings.
func (doc *draft) hear(m record.Manifest, p Proxies, sent int64) []witness.Finding {
	w, target := m.Witness, witness.TargetOf(*m.Before)
	doc.Witness = &report.Witness{Why: w.Why, Proxy: string(w.Kind), URL: w.URL}
	r := doc.Witness
	if w.Why == "" && p.err != nil {
		r.Why = untrusted.Safe(p.err.Error())
	}
	if r.Why == "" {
		r.Available, r.Undisturbed, r.Agrees = true, true, true
		r.Counter, r.Path, r.Requests = p.Counter, string(p.Path), sent
		r.Retries, r.Blurred = p.Retries, p.Blurred
	} else if m.Kind != report.KindLatency || m.Before.Split.Found { // else there is nothing to be witnessed
		doc.warn(report.SayNoWitness, untrusted.Safe(r.Why))
	}
	if !r.Available && !errors.Is(p.err, witness.ErrNoCounters) {
		return nil
	}
	expect := expectedPath(m.Before.Law)
	fs := p.findings(target, expect, sent)
	for _, f := range fs {
		r.Findings = append(r.Findings, f.Text)
		switch {
		case spoils(m.Kind, f):
			r.Undisturbed = false
			doc.refuse("%s", f.Text)
			doc.mend(f, m)
		case f.Effect == witness.Unit && m.Kind == report.KindSplit: // it says what is judged, in its own place
		case f.Code == witness.CodeStalePath && m.Kind == report.KindWatch:
		default:
			doc.warn("%s", f.Text)
		}
	}
	doc.Checks = pathTold(doc.Checks, p.Delta, expect, fs)
	return fs
}

// pathTold are checks in which that of the proxy's path has what its counters told, where it could only be guessed
// before.
func pathTold(
	checks []preflight.Result, d witness.Delta, expect law.Path, fs []witness.Finding,
) []preflight.Result {
	i := slices.IndexFunc(fs, func(f witness.Finding) bool { return f.Code == witness.CodeStalePath })
	switch {
	case i >= 0:
		return preflight.Answered(checks, preflight.Failed, fs[i].Text, fs[i].Remedy)
	case expect != "" && (d.Paths[expect] > 0 || d.Streamed[expect] > 0):
		return preflight.Answered(checks, preflight.OK, fmt.Sprintf(report.SayPathTaken, expect), "")
	}
	return checks
}

// expectedPath is the path that the objects say requests take through a Linkerd proxy; others have but one.
func expectedPath(l law.Law) law.Path {
	if l.Provider != law.ProviderLinkerd || l.Unread != "" || l.Path == law.PathTrafficSplit {
		return ""
	}
	return l.Path
}

// mend adds a finding's remedy, its command completed with the workload that the client pod is of.
func (doc *draft) mend(f witness.Finding, m record.Manifest) {
	if f.Remedy == "" {
		return
	}
	text := f.Remedy
	if f.Code == witness.CodeStalePath {
		if workload := strings.TrimPrefix(m.Before.Source.Workload, "--from "); workload != m.Before.Source.Workload {
			text += " " + workload
		} else {
			text = fmt.Sprintf(report.RemedyWorkload, text, m.Before.Source.Name)
		}
	}
	doc.remedy("%s", untrusted.Safe(text))
}
