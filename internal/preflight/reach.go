package preflight

import (
	"fmt"
	"math"
	"slices"

	"github.com/splitbench/splitbench/internal/law"
)

// What the source pod's own requests came to outranks what objects say of a backend: endpoints that are written down as
// ready may lead nowhere, and a backend that answered is alive whatever could not be read.

// drawError is how often the probes of a split in order may say that one of its backends is never drawn: at most once
// in so many checks, all backends together.
const drawError = 1e-4

// probes are those that a meshed source pod sent, nil where its proxy is not what draws.
func (v View) probes() *Probed {
	if !v.Source.Meshed || v.Through != nil || v.OffMesh {
		return nil
	}
	return v.Probed
}

// unreached says how the probes show that requests for a backend do not arrive there, "" where they do not show it.
func (v View) unreached(b law.Backend) shown {
	p := v.probes()
	if p == nil {
		return ""
	}
	answers := p.Direct[b.Name]
	byProxy := func(a Answer) bool { return a.Status >= 500 && a.proxyError() != "" }
	if len(answers) > 0 && !slices.ContainsFunc(answers, func(a Answer) bool { return !byProxy(a) }) {
		return say("asked by itself %d times it gave %s", len(answers), string(describe(answers[0])))
	}
	return v.undrawn(b)
}

// undrawn says that the proxy drew the backend for none of its requests, though so many would have missed it by chance
// less than drawError allows. Draws are independent, so that is (1-p)^n.
func (v View) undrawn(b law.Backend) shown {
	path, n, p := v.Probed.Path, int64(0), 0.0
	for _, l := range v.Law.Backends {
		n += path.Draws[l.Name]
		if l.Name == b.Name {
			p = l.Probability
		}
	}
	chance := math.Pow(1-p, float64(n))
	follows := path.PerConnection || path.Path == string(v.Law.Path)
	drawn := path.Draws == nil || path.Draws[b.Name] > 0
	if p == 0 || drawn || !follows || chance*float64(len(v.Law.Backends)) > drawError {
		return ""
	}
	return say("the proxy drew it for none of %d requests, though its weight is %s of all (by chance: once in %s checks)",
		n, fmt.Sprintf("%.4g %%", 100*p), fmt.Sprintf("%.3g", 1/chance))
}

// answer says that the backend answered the source pod, "" where it is not known to have. The root Service, which
// cannot be asked by itself, did where it was drawn and every answer was one.
func (v View) answer(b law.Backend) shown {
	const answered = "it answered the source pod"
	p := v.probes()
	switch own := func(a Answer) bool { return a.Status > 0 && a.Status < 400 }; {
	case p == nil || !b.Service.Found:
	case slices.ContainsFunc(p.Direct[b.Name], own):
		return answered
	case b.IsRoot && p.Path.Draws[b.Name] > 0 && p.count(own) == len(p.Root):
		return answered
	}
	return ""
}

// tls is how requests of the source pod to the gateway of a cluster were secured, "true" for mutual TLS and "" where
// that was not seen.
func (v View) tls(cluster string) string {
	if p := v.probes(); p != nil {
		return p.TLS[cluster]
	}
	return ""
}

// path says by which path the source pod's proxy counted requests for the root, "" where that is not known.
func (v View) path() shown {
	if p := v.probes(); p != nil && p.Path.Known {
		return "the proxy knows the requests of the source pod for those of the root Service"
	}
	return ""
}
