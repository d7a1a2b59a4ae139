package preflight

import (
	"bytes"
	"context"
	"regexp"
	"time"

	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/witness"
)

// counters are the proxy's own, read before and after the probes of the root.
type counters struct {
	target witness.Target
	pages  []Answer
	at     []time.Time
}

func newCounters(v View) *counters { return &counters{target: witness.TargetOf(v.Snapshot)} }

// read fetches the lines of the proxy's metrics that say anything of the split.
func (c *counters) read(ctx context.Context, p Prober) error {
	keep := append(c.target.Keep(witness.Linkerd), []string{"request_total", "dst_target_cluster"})
	a, err := p.Fetch(ctx, Get{URL: witness.LinkerdURL, MaxBytes: metricsBytes, Keep: keep})
	c.pages, c.at = append(c.pages, a), append(c.at, time.Now())
	return err
}

// path says which path the requests between the two reads took. Requests of other containers of the pod are counted too: they
// share the proxy, and what it has cached.
func (c *counters) path() PathSeen {
	var pages []witness.Page
	for _, a := range c.pages {
		switch {
		case a.Status != 200:
			return PathSeen{Why: "they could not be read: " + describe(a)}
		case a.Truncated:
			return PathSeen{Why: "the page is too long"}
		}
		page, err := witness.Parse(bytes.NewReader(a.Body), witness.Linkerd, c.target)
		if err != nil {
			return PathSeen{Why: mesh.Safe(err.Error())}
		}
		pages = append(pages, page)
	}
	if len(pages) != 2 {
		return PathSeen{Why: "they were not read"}
	}
	d, err := witness.Compare(pages[0], pages[1], c.target, c.at[1].Sub(c.at[0]))
	switch {
	case err != nil:
		return PathSeen{Why: mesh.Safe(err.Error())}
	case d.Restarted != "":
		return PathSeen{Why: "the proxy was restarted: " + mesh.Safe(d.Restarted)}
	case d.PerConnection():
		return PathSeen{Known: true, PerConnection: true, Path: string(d.Path)}
	case d.Path == witness.PathUnknown:
		return PathSeen{Why: "no counter of the root's requests moved", Retries: d.Retries}
	}
	return PathSeen{Known: true, Path: string(d.Path), Requests: d.Paths[d.Path], Retries: d.Retries}
}

// tlsLabel finds how requests to a gateway were sent: linkerd2-proxy, linkerd/app/core/src/transport/labels.rs.
var tlsLabel = regexp.MustCompile(`(?m)^request_total\{[^}\n]*`)

var (
	clusterLabel = regexp.MustCompile(`dst_target_cluster="([^"]{1,253})"`)
	tlsValue     = regexp.MustCompile(`[{,]tls="([^"]{1,64})"`)
)

// tls is how the proxy's requests to each target cluster went, "true" only where all of them did.
func (c *counters) tls() map[string]string {
	out := map[string]string{}
	if len(c.pages) == 0 {
		return out
	}
	last := c.pages[len(c.pages)-1]
	for _, line := range tlsLabel.FindAll(last.Body, -1) {
		cluster, how := clusterLabel.FindSubmatch(line), tlsValue.FindSubmatch(line)
		if cluster == nil || how == nil {
			continue
		}
		if name, value := string(cluster[1]), string(how[1]); out[name] == "" || out[name] == "true" {
			out[name] = value
		}
	}
	return out
}
