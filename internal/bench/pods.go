package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/podexec"
)

// sources are the pods that send, the first of them the one that the snapshot calls the source. Each has its part of the
// plan: pod k of n sends the requests k, k+n, k+2n and so on of the run, each when it is due.
func (r *run) sources() ([]*source, error) {
	pods := []law.Pod{r.m.Before.Source}
	for _, p := range r.m.Before.Others {
		if why := unfit(p, r.m.Before.Through == nil); why != "" {
			return nil, fmt.Errorf("--pods: pod %s cannot send: %s; wait for it, or name fewer pods", p.Name, why)
		}
		pods = append(pods, p)
	}
	out := make([]*source, len(pods))
	for i, p := range pods {
		c, err := podexec.New(r.cfg.REST, podexec.Target{Namespace: p.Namespace, Pod: p.Name, Container: p.Container},
			podexec.Options{Protocol: r.cfg.Protocol})
		if err != nil {
			return nil, err
		}
		out[i] = &source{r: r, n: i, pod: p, container: c, plan: partOf(r.m.Plan, i, len(pods))}
	}
	return out, nil
}

// unfit says why requests of a pod would not be the split's, "" where they would.
func unfit(p law.Pod, draws bool) string {
	switch {
	case p.Problem != "":
		return p.Problem
	case !p.Ready:
		return "it is not ready: " + strings.Join(p.NotReady, ", ")
	case draws && !p.Meshed:
		return "it has no proxy"
	}
	return ""
}

// checkPods refuses a plan that cannot be shared out.
func checkPods(p attack.Plan, pods int, resume bool) error {
	switch {
	case pods > 1 && p.Shape != nil:
		return usagef("--pods: only a constant rate can be shared out between pods")
	case resume && p.Shape != nil:
		return usagef("--resume: only a constant rate can be taken up again")
	case uint64(pods) > p.Requests:
		return usagef("--pods: %d pods for %d requests", pods, p.Requests)
	}
	return nil
}

// partOf is what pod k of n sends. Connections, warm-up and ceilings are shared out too.
func partOf(p attack.Plan, k, n int) attack.Plan {
	if n == 1 {
		return p
	}
	of := func(total uint64) uint64 {
		part := total / uint64(n)
		if uint64(k) < total%uint64(n) {
			part++
		}
		return part
	}
	p.Requests, p.WarmUp = of(p.Requests), of(p.WarmUp)
	p.Connections = max(1, int(of(uint64(p.Connections))))
	p.Rate.Per *= time.Duration(n)
	if p.Limits != nil && p.Limits.Bytes > 0 {
		l := *p.Limits
		l.Bytes = max(1, int64(of(uint64(l.Bytes)))) // 0 would be no limit
		p.Limits = &l
	}
	return p
}

// stagger is how much later than the first pod's the schedule of pod k begins.
func stagger(p attack.Plan, k int) time.Duration {
	return attack.Plan{Rate: p.Rate}.Schedule().At(uint64(k))
}

// barrier lets several bursts start together.
type barrier struct {
	mu   sync.Mutex
	left int
	open chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{left: n, open: make(chan struct{})} }

// gate is nil where nobody has to be waited for. What it returns is called once by each who comes.
func (b *barrier) gate() func(context.Context) error {
	if b.left == 1 {
		return nil
	}
	return b.arrive
}

func (b *barrier) arrive(ctx context.Context) error {
	b.mu.Lock()
	if b.left--; b.left == 0 {
		close(b.open)
	}
	b.mu.Unlock()
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
