package preflight

import "context"

func (c *counters) read(ctx context.Context, p Prober) error {
	a, err := p.Fetch(ctx, Get{URL: proxyAdmin + "/metrics", MaxBytes: metricsBytes})
	c.pages = append(c.pages, a)
	return err
}

func (c *counters) path() PathSeen { return PathSeen{Why: "not read"} }

func (c *counters) tls() map[string]string { return nil }
