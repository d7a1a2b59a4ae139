package preflight

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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
	a, err := p.Fetch(ctx, Get{
		URL: witness.LinkerdURL, MaxBytes: metricsBytes, Keep: c.target.Keep(witness.Linkerd),
	})
	c.pages, c.at = append(c.pages, a), append(c.at, time.Now())
	return err
}

// path says which path the requests between the first two reads took. Requests of other containers of the pod are
// counted too: they share the proxy, and what it has cached.
func (c *counters) path() PathSeen {
	if len(c.pages) < 2 {
		return PathSeen{Why: "they were not read"}
	}
	before, err1 := c.parse(c.pages[0])
	after, err2 := c.parse(c.pages[1])
	if err := cmp.Or(err1, err2); err != nil {
		return PathSeen{Why: untrusted.Safe(err.Error())}
	}
	d, err := witness.Compare(before, after, c.target, c.at[1].Sub(c.at[0]))
	switch {
	case err != nil:
		return PathSeen{Why: untrusted.Safe(err.Error())}
	case d.Restarted != "":
		return PathSeen{Why: "the proxy was restarted: " + untrusted.Safe(d.Restarted)}
	case d.PerConnection():
		return PathSeen{Known: true, PerConnection: true, Path: string(d.Path), Draws: c.draws(d.Streams)}
	case d.Path == "":
		return PathSeen{Why: "no counter of the root's requests moved", Retries: d.Retries}
	}
	return PathSeen{
		Known: true, Path: string(d.Path), Requests: d.Paths[d.Path], Retries: d.Retries, Draws: c.draws(d.Draws),
	}
}

// parse reads a page that was fetched whole.
func (c *counters) parse(a Answer) (witness.Page, error) {
	switch {
	case a.Status != 200:
		return witness.Page{}, errors.New(string("they could not be read: " + describe(a)))
	case a.Truncated:
		return witness.Page{}, errors.New("the page is too long")
	}
	return witness.Parse(bytes.NewReader(a.Body), witness.Linkerd, c.target)
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

// tls is how the proxy's requests to the split's Services in each target cluster were secured, "true" only where all
// of them were. Only counters that moved between the first and the last read count: a series lives on for ten minutes
// after its last request, so one from before a repair is still there. A cluster to which no counter moved is left out.
func (c *counters) tls() map[string]string {
	if len(c.pages) < 2 {
		return nil
	}
	first, err1 := c.parse(c.pages[0])
	last, err2 := c.parse(c.pages[len(c.pages)-1])
	if err1 != nil || err2 != nil {
		return nil
	}
	return witness.Secured(first, last)
}
