package watches

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/splitbench/splitbench/internal/telemetry"
)

// Lease has one of several processes work at a time: the one that holds a Lease of the API server. A nil Lease has the
// only one work.
type Lease struct {
	name    string // namespace/name
	lock    resourcelock.Interface
	length  time.Duration
	health  *leaderelection.HealthzAdaptor
	elector atomic.Pointer[leaderelection.LeaderElector]
	leads   atomic.Bool
}

// leaseLost is why work ends whose process does not hold the lease any more.
type leaseLost struct{ Lease string }

func (e *leaseLost) Error() string {
	return "lease " + e.Lease + " was lost: it could not be renewed in time, and another process may hold it"
}

// healthyFor is how long a leader may go on after its lease has run out, before it is taken for stuck.
const healthyFor = 20 * time.Second

// NewLease is a lease that is not held yet. It is renewed and given up as the control plane's own are: with a length of
// 15 s it is renewed every 2 s, and given up after 10 s without an answer.
func NewLease(cfg *rest.Config, namespace, name, identity string, length time.Duration) (*Lease, error) {
	own := rest.CopyConfig(cfg)
	own.Timeout = renewal(length) / 2 // one call that hangs is not the last
	client, err := coordination.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("lease %s/%s: %w", namespace, name, err)
	}
	return &Lease{
		name: namespace + "/" + name, length: length, health: leaderelection.NewLeaderHealthzAdaptor(healthyFor),
		lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Client: client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
	}, nil
}

// renewal is how long a leader tries to renew, and retry how often anybody tries.
func renewal(length time.Duration) time.Duration { return length * 2 / 3 }
func retry(length time.Duration) time.Duration   { return length * 2 / 15 }

// Hold does the work while the lease is held, stands by while it is not, and gives it up when the work is done. Work
// whose lease is lost ends with a leaseLost as the cause of its context; the process stands by again then. Where the
// context ends while it stands by, the error is its cause.
func (l *Lease) Hold(ctx context.Context, say func(string, ...any), work func(context.Context) error) error {
	if l == nil {
		return work(ctx)
	}
	for ctx.Err() == nil {
		say("standing by for lease %s", l.name)
		if done, err := l.term(ctx, say, work); done {
			return err
		}
	}
	return context.Cause(ctx)
}

// term is one time of holding the lease; done: there need not be another.
func (l *Lease) term(
	ctx context.Context, say func(string, ...any), work func(context.Context) error,
) (done bool, err error) {
	// The lease is given up after the work has ended, so its election outlives the context of the work.
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	elected, over := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l.lock, Name: l.name, WatchDog: l.health, ReleaseOnCancel: true,
		LeaseDuration: l.length, RenewDeadline: renewal(l.length), RetryPeriod: retry(l.length),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) }, OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return true, fmt.Errorf("lease %s: %w", l.name, err)
	}
	l.health.SetLeaderElection(elector)
	l.elector.Store(elector)
	go func() {
		defer close(over)
		elector.Run(electing)
	}()
	defer func() { resign(); <-over }()
	select {
	case <-elected:
	case <-over:
		return false, nil
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
	say("this process holds lease %s", l.name)
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var guard sync.WaitGroup
	guard.Go(func() {
		select {
		case <-over:
			stop(&leaseLost{l.name})
		case <-working.Done():
		}
	})
	l.leads.Store(true)
	err = work(working)
	l.leads.Store(false)
	stop(nil)
	guard.Wait()
	if lost := (*leaseLost)(nil); ctx.Err() == nil && errors.As(context.Cause(working), &lost) {
		say("%v; nothing is sent any more", lost)
		return false, nil
	}
	return true, err
}

// role is what the page says of this process.
func (l *Lease) role() string {
	switch {
	case l == nil:
		return ""
	case l.leads.Load():
		return telemetry.RoleLeader
	}
	return telemetry.RoleStandby
}

// healthy reports whether the process is not stuck with a lease that has run out.
func (l *Lease) healthy(r *http.Request) error {
	if l == nil {
		return nil
	}
	return l.health.Check(r)
}

// known reports whether somebody leads: this process, or one that it stands by for.
func (l *Lease) known() error {
	if l == nil {
		return nil
	}
	if e := l.elector.Load(); e == nil || e.GetLeader() == "" {
		return errors.New("lease " + l.name + ": it is not known who holds it")
	}
	return nil
}
