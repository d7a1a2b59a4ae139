package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// splitOf is the split as it was read before the run, and what became of it.
func splitOf(before, after *law.Snapshot) *report.Split {
	if before == nil {
		return nil
	}
	s := before.Split
	out := &report.Split{
		Kind: s.Kind, APIVersion: s.APIVersion, Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		ResourceVersion: s.ResourceVersion, Generation: s.Generation, Root: s.Root, WeightsFrom: s.EffectiveFrom,
		LastWriter: s.LastWriter, LastWritten: s.LastWritten, YAMLBefore: yamlText(s.YAML), Law: lawOf(before.Law),
	}
	if out.Law != nil {
		out.Law.Told = toldOf(before.Told, after)
	}
	if after == nil {
		out.Why = report.SayNotReadAgain
		return out
	}
	out.YAMLAfter = yamlText(after.Split.YAML)
	if after.Split.Generation != s.Generation {
		out.GenerationAfter = after.Split.Generation
	}
	out.Why = changeOf(s, after.Split)
	out.Unchanged = out.Why == ""
	return out
}

// maxYAML bounds what a report holds of one object, in bytes. The run's folder has all of it.
const maxYAML = 32 << 10

func yamlText(b []byte) string {
	if len(b) > maxYAML {
		return string(b[:maxYAML]) + report.SayRestOfYAML
	}
	return string(b)
}

// changeOf says what changed of the split, nothing where it says the same. A new resourceVersion alone is no change:
// controllers write annotations.
func changeOf(a, b law.Split) string {
	switch {
	case a.Found && !b.Found:
		return report.SayDeleted
	case a.UID != b.UID:
		return report.SayCreatedAgain
	case a.Root != b.Root:
		return fmt.Sprintf(report.SayOtherRoot, a.Root, b.Root)
	case !slices.Equal(a.Declared, b.Declared):
		return report.SayOtherWeights
	case !slices.Equal(a.Effective, b.Effective):
		return report.SayOtherObeyed
	}
	return ""
}

// sourceOf is where the requests came from.
func sourceOf(before *law.Snapshot, a record.AgentFacts) *report.Source {
	if before == nil {
		return nil
	}
	p := before.Source
	out := &report.Source{
		Context: before.Context(""), Namespace: p.Namespace, Pod: p.Name, PodUID: p.UID, Node: p.Node,
		Container: p.Container, ContainerWhy: p.ContainerWhy, Meshed: p.Meshed, ProxyImage: p.ProxyImage,
		Transport: a.Transport, Agent: a.How,
	}
	if t := before.Through; t != nil {
		out.Through = t.Service.Namespace + "/" + t.Service.Name
	}
	if r := before.Runners; r != nil && r.Job != "" {
		out.Runners = &report.Runners{
			Workload: strings.TrimPrefix(r.Workload, "--from "), Job: p.Namespace + "/" + r.Job, Pods: r.Pods, Image: r.Image,
			ServiceAccount: r.Account,
		}
	}
	return out
}

func lawOf(l law.Law) *report.Law {
	if l.NullModel == "" {
		return nil
	}
	out := &report.Law{
		Provider: string(l.Provider), Path: string(l.Path), Rule: l.Rule, Probe: l.Probe.String(),
		NullModel: string(l.NullModel), Unit: "request", Why: l.ModelWhy, Objects: []report.LawObject{},
		NotObeyed: []report.LawObject{}, NotRead: l.Unread, Backends: []report.LawBackend{},
	}
	if l.NullModel == law.RandomPerConnection {
		out.Unit = "connection"
	}
	for _, o := range l.Objects {
		out.Objects = append(out.Objects, lawObject(o, ""))
	}
	for _, s := range l.Shadowed {
		out.NotObeyed = append(out.NotObeyed, lawObject(s.Object, s.Why))
	}
	out.Backends = lawBackends(l)
	return out
}

func lawBackends(l law.Law) []report.LawBackend {
	out := []report.LawBackend{}
	for _, b := range l.Backends {
		out = append(out, report.LawBackend{
			Name: b.Name, Weight: b.Weight, Probability: b.Probability, Problem: b.Problem, ProxyStatus: b.ProxyStatus,
		})
	}
	return out
}

// toldOf is what the control plane was heard to say before the run and after it; nil: it was not asked.
func toldOf(t *law.Told, after *law.Snapshot) *report.LawTold {
	if t == nil {
		return nil
	}
	out := &report.LawTold{
		Namespace: t.Namespace, Pod: t.Pod, At: t.At, TookMs: t.TookMs, BeforeBurstMs: t.BeforeBurstMs, Why: t.Why,
		Heard: t.Why == "", Agrees: t.Why == "" && !t.Differs(),
		HeardAfter: after != nil && after.Told != nil && after.Told.Why == "",
	}
	if t.Differs() {
		out.WorkedOut = lawBackends(*t.WorkedOut)
	}
	return out
}

func lawObject(o law.ObjectRef, why string) report.LawObject {
	return report.LawObject{
		APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID,
		ResourceVersion: o.ResourceVersion, Generation: o.Generation, Why: why,
	}
}

// clusterOf is the context of the cluster that a backend's pods run in.
func clusterOf(s *law.Snapshot, backend string) string {
	if s == nil {
		return ""
	}
	for _, b := range s.Backends {
		if b.Name != backend {
			continue
		}
		if b.Mirror != nil {
			return b.Mirror.Context
		}
		return s.Context("")
	}
	return ""
}

// heldAgainstForce holds the counts also against the weights that proxies obey, where those are not the declared ones:
// a verdict is of what was declared, whichever check was waived.
func (doc *draft) heldAgainstForce(m record.Manifest) {
	if m.Before == nil || !m.Before.Split.Differs {
		return
	}
	s := m.Before.Split
	if _, known := record.DeclaredOf(*m.Before); !known {
		doc.refuse(report.SayDeclaredUnread, untrusted.Safe(s.EffectiveFrom), s.ObjectRef)
		return
	}
	inForce := record.WeightsOf(*m.Before)
	if record.SameShares(inForce, m.Weights) || len(doc.counts.N) != len(inForce) {
		return
	}
	doc.InForce = &report.InForce{From: untrusted.Safe(s.EffectiveFrom), Backends: partOf(inForce, doc.counts)}
	if d, err := analyze.Judge(inForce, doc.counts, m.Options); err == nil {
		doc.InForce.Outcome, doc.InForce.Pearson = string(d.Outcome), new(statistic(d.GoodnessOfFit.Pearson))
	}
}

// Drift says how what proxies obey has come to differ from what the split declares, with the objects that say so and
// what to do; "" where it has not.
func Drift(before, after law.Snapshot) (why, remedy string) {
	if before.Split.Differs || !after.Split.Differs {
		return "", ""
	}
	if after.Facts.Adaptor.Sight == "" { // not looked for again
		after.Facts = before.Facts
	}
	checks := preflight.Run(preflight.View{Snapshot: after})
	i := slices.IndexFunc(checks, func(c preflight.Result) bool { return c.ID == preflight.ToldCheck })
	if i < 0 {
		return "", ""
	}
	if after.Split.Kind == string(law.PathTrafficSplit) {
		return fmt.Sprintf(report.SayDrift, checks[i].Seen), checks[i].Hint
	}
	return fmt.Sprintf(report.SayShadowed, checks[i].Seen), checks[i].Hint
}
