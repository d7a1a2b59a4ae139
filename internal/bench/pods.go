package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
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
		l, err := r.cfg.ladder(p)
		if err != nil {
			return nil, err
		}
		out[i] = &source{r: r, n: i, pod: p, ladder: l, plan: record.PartOf(r.m.Plan, i, len(pods))}
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
		return record.Usagef("--pods: only a constant rate can be shared out between pods")
	case resume && p.Shape != nil:
		return record.Usagef("--resume: only a constant rate can be taken up again")
	case uint64(pods) > p.Requests:
		return record.Usagef("--pods: %d pods for %d requests", pods, p.Requests)
	}
	return nil
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
