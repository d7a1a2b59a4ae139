package report

import "github.com/splitbench/splitbench/internal/law"

func lawOf(l law.Law) *Law {
	if l.NullModel == "" {
		return nil
	}
	out := &Law{
		Provider: string(l.Provider), Path: string(l.Path), Rule: l.Rule, Probe: l.Probe.String(), NullModel: string(l.NullModel),
		Unit: "request", Why: l.ModelWhy, Objects: []LawObject{}, NotObeyed: []LawObject{}, NotRead: l.Unread, Backends: []LawBackend{},
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
	for _, b := range l.Backends {
		out.Backends = append(out.Backends, LawBackend{Name: b.Name, Weight: b.Weight, Probability: b.Probability, Problem: b.Problem})
	}
	return out
}

func lawObject(o law.ObjectRef, why string) LawObject {
	return LawObject{
		APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		Generation: o.Generation, Why: why,
	}
}
