package preflight

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/witness"
)

// counters are the proxy's own, read before and after the probes of the root, and again after those of the backends.
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

// path says which path the requests between the first two reads took. Requests of other containers of the pod are
// counted too: they share the proxy, and what it has cached.
func (c *counters) path() PathSeen {
	var pages []witness.Page
	for _, a := range c.pages[:min(2, len(c.pages))] {
		switch {
		case a.Status != 200:
			return PathSeen{Why: string("they could not be read: " + describe(a))}
		case a.Truncated:
			return PathSeen{Why: "the page is too long"}
		}
		page, err := witness.Parse(bytes.NewReader(a.Body), witness.Linkerd, c.target)
		if err != nil {
			return PathSeen{Why: untrusted.Safe(err.Error())}
		}
		pages = append(pages, page)
	}
	if len(pages) != 2 {
		return PathSeen{Why: "they were not read"}
	}
	d, err := witness.Compare(pages[0], pages[1], c.target, c.at[1].Sub(c.at[0]))
	switch {
	case err != nil:
		return PathSeen{Why: untrusted.Safe(err.Error())}
	case d.Restarted != "":
		return PathSeen{Why: "the proxy was restarted: " + untrusted.Safe(d.Restarted)}
	case d.PerConnection():
		return PathSeen{Known: true, PerConnection: true, Path: string(d.Path), Draws: c.draws(d.Streams)}
	case d.Path == witness.PathUnknown:
		return PathSeen{Why: "no counter of the root's requests moved", Retries: d.Retries}
	}
	return PathSeen{
		Known: true, Path: string(d.Path), Requests: d.Paths[d.Path], Retries: d.Retries, Draws: c.draws(d.Draws),
	}
}

// draws names whose they are, nil where no counter tells.
func (c *counters) draws(byLeaf []int64) map[string]int64 {
	if byLeaf == nil {
		return nil
	}
	out := map[string]int64{}
	for i, l := range c.target.Leaves {
		out[l.Name] = byLeaf[i]
	}
	return out
}

// The labels that tell how requests to a gateway were sent, and for which Service there: linkerd2-proxy,
// linkerd/app/core/src/transport/labels.rs.
var (
	requestsLine = regexp.MustCompile(`(?m)^request_total(\{[^\n]*\}) ([0-9]{1,18})\r?$`)
	clusterLabel = regexp.MustCompile(`[{,]dst_target_cluster="([^"]{1,253})"`)
	serviceLabel = regexp.MustCompile(`[{,]dst_target_service="([^"]{1,253})"`)
	spaceLabel   = regexp.MustCompile(`[{,]dst_target_service_namespace="([^"]{1,253})"`)
	tlsValue     = regexp.MustCompile(`[{,]tls="([^"]{1,64})"`)
)

// tls is how the proxy's requests to the split's Services in each target cluster were secured, "true" only where all
// of them were. Only counters that moved between the first and the last read count: a series lives on for ten minutes
// after its last request, so one from before a repair is still there. A cluster to which no counter moved is left out.
func (c *counters) tls() map[string]string {
	out := map[string]string{}
	if len(c.pages) < 2 {
		return out
	}
	first, last := c.pages[0], c.pages[len(c.pages)-1]
	for _, a := range []Answer{first, last} {
		if a.Status != 200 || a.Truncated {
			return out
		}
	}
	before := map[string]string{} // by the labels of the series
	for _, m := range requestsLine.FindAllSubmatch(first.Body, -1) {
		before[string(m[1])] = string(m[2])
	}
	for _, m := range requestsLine.FindAllSubmatch(last.Body, -1) {
		was, ok := before[string(m[1])]
		if now := string(m[2]); now == was || !ok && now == "0" || !c.leads(m[1]) {
			continue
		}
		cluster, how := clusterLabel.FindSubmatch(m[1]), tlsValue.FindSubmatch(m[1])
		if how == nil {
			continue
		}
		if name, value := string(cluster[1]), string(how[1]); out[name] == "" || out[name] == "true" {
			out[name] = value
		}
	}
	return out
}

// leads reports whether a series is of requests to a Service that one of the split's mirrors leads to.
func (c *counters) leads(labels []byte) bool {
	cluster, service := clusterLabel.FindSubmatch(labels), serviceLabel.FindSubmatch(labels)
	space := spaceLabel.FindSubmatch(labels)
	if cluster == nil || service == nil || space == nil {
		return false
	}
	return slices.ContainsFunc(c.target.Leaves, func(l witness.Leaf) bool {
		return l.Cluster == string(cluster[1]) && l.RemoteService == string(service[1]) &&
			l.RemoteNamespace == string(space[1])
	})
}
