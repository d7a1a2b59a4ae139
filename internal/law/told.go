package law

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Told is what those who hand the law to the client's proxy were heard to say of it.
type Told struct {
	Namespace string    `json:"namespace"` // of the pod that was asked
	Pod       string    `json:"pod"`       // "": none was found
	At        time.Time `json:"at"`
	TookMs    int64     `json:"tookMs"`
	// how long before the burst it was told; 0: not asked right before one
	BeforeBurstMs int64 `json:"beforeBurstMs,omitempty"`

	Law      Law    `json:"law"`
	Why      string `json:"why"`      // why no law was told, one sentence; "": it was
	Required bool   `json:"required"` // there is no verdict without
	Own      bool   `json:"own"`      // the pod is the client's, and its own proxy showed what it holds
	// what the objects say, where that is another law than the one that was told; nil: they agree
	WorkedOut *Law `json:"workedOut"`
}

// Use says whether the law is asked for.
type Use string

// The uses of what is told.
const (
	UseAuto    Use = "auto"    // where it can be had
	UseTold    Use = "told"    // there is no verdict without
	UseObjects Use = "objects" // nobody is asked
)

// Question is by which law a request is drawn for a client.
type Question struct {
	Client   Pod // whose proxy draws
	Root     Service
	Port     int32 // of the root Service
	Probe    Probe
	Split    ObjectRef // that was named
	Backends []Leaf    // that the objects name
}

// Question is what is asked of the law of the Snapshot.
func (s Snapshot) Question() Question {
	q := Question{
		Client: s.Source, Root: s.Root, Port: s.Port, Probe: s.Law.Probe, Split: s.Split.ObjectRef, Backends: s.Law.Backends,
	}
	if s.Through != nil && len(s.Through.Pods) > 0 {
		q.Client = s.Through.Pods[0]
	}
	return q
}

// Differs reports whether a law was told, and it is not the one that the objects say.
func (t *Told) Differs() bool { return t != nil && t.WorkedOut != nil }

// Obey lets a law that was told take the place of another one that was worked out, whose objects are then shadowed.
func (c *Case) Obey(t *Told) {
	if t.Why != "" || c.Law.Same(t.Law, c.DialPort) {
		return
	}
	worked, q := c.Law, c.question()
	t.WorkedOut = &worked
	l := t.Law
	l.Shadowed, l.Unread, l.Probe = worked.Shadowed, worked.Unread, worked.Probe
	l.Backends = q.named(l.Backends)
	if l.Path == "" {
		l.Provider, l.Path, l.Objects = worked.Provider, worked.Path, worked.Objects
	}
	if len(l.Objects) > 0 && len(worked.Objects) > 0 && l.sameRuler(worked) {
		l.Objects = worked.Objects // which say in which version, and what they were made of
	}
	for _, o := range worked.Objects {
		if !slices.ContainsFunc(l.Objects, func(have ObjectRef) bool { return o.Is(have) }) {
			l.Shadowed = append(l.Shadowed, Shadowed{Object: o, Why: "the control plane does not tell proxies of it"})
		}
	}
	c.keepDeclared(&l)
	c.Law, t.Law = l, l
	s := &c.Split
	s.Effective, s.EffectiveFrom, s.AllZero = weightsOf(l.Backends), "what the control plane tells proxies", false
	if l.Problem != "" {
		s.WeightErr = cmp.Or(s.WeightErr, &WeightError{Object: s.EffectiveFrom, Field: "rule", Why: l.Problem})
	}
	for _, b := range l.Backends {
		c.Ports[b.Name] = b.Port
	}
}

// named gives leaves as they were told the names that the rest of a Snapshot has for them.
func (q question) named(in []Leaf) []Leaf {
	out := slices.Clone(in)
	for i, b := range out {
		out[i].Name = q.name(b.Namespace, b.Service)
		if b.Service == "" {
			out[i].Name = fmt.Sprintf("proxy-%d", b.ProxyStatus)
		}
	}
	return merged(q.apart(out))
}

// sameShare is how far apart two probabilities may be that are the same: weights are compared, not measured.
const sameShare = 1e-9

// Same reports whether two laws draw alike for clients that dial the port: by the same ruling object, per request or
// per connection, the same Services on the same ports with the same probabilities, or the same answers of the proxy's
// own.
// Backends of probability 0 do not count, and laws that both have no distribution are the same.
func (l Law) Same(o Law, port int32) bool {
	if l.Problem != "" && o.Problem != "" {
		return true
	}
	unnamed := l.Path == "" || o.Path == "" // who was asked does not know of objects
	if !unnamed && l.Path.asSent() != o.Path.asSent() || l.NullModel != o.NullModel ||
		(l.Problem == "") != (o.Problem == "") || !l.sameRuler(o) {
		return false
	}
	a, b := l.draws(port), o.draws(port)
	for key, p := range a {
		if math.Abs(p-b[key]) > sameShare {
			return false
		}
		delete(b, key)
	}
	return len(b) == 0
}

// asSent is the path as the control plane knows it: a TrafficSplit comes to it as the ServiceProfile made of it.
func (p Path) asSent() Path {
	if p == PathTrafficSplit {
		return PathServiceProfile
	}
	return p
}

// sameRuler compares the objects that rule, as far as both laws name one of a kind.
func (l Law) sameRuler(o Law) bool {
	if len(l.Objects) == 0 || len(o.Objects) == 0 || l.Path != o.Path {
		return true
	}
	return l.Objects[0].Is(o.Objects[0])
}

// Is reports whether two references name one object, in whichever versions.
func (o ObjectRef) Is(p ObjectRef) bool {
	return o.Kind == p.Kind && o.Group() == p.Group() && o.Namespace == p.Namespace && o.Name == p.Name
}

// draws are the probabilities of what can be drawn, by what it is.
func (l Law) draws(port int32) map[string]float64 {
	out := map[string]float64{}
	for _, b := range l.Backends {
		key := fmt.Sprintf("%s/%s/%s:%d", b.Namespace, b.Service, b.Subset, cmp.Or(b.Port, port))
		switch {
		case b.ProxyStatus != 0:
			key = fmt.Sprint(b.ProxyStatus)
		case b.Closed:
			key = "closed"
		}
		if b.Probability > 0 {
			out[key] += b.Probability
		}
	}
	return out
}
