// Package mesh reads from the API servers what a split says, what proxies make of it, and which pods are involved.
//
// It is the only place that knows API groups, labels and annotations of Kubernetes, SMI and Linkerd. It reads and never
// writes, sends no request to a workload, and judges nothing: what it saw is a Snapshot, which others check. It does
// not guess: what could not be read is a note or an "unread" reason in the Snapshot, so that nobody can mistake it for
// absent.
//
// Invariant: a Snapshot tells what the client's proxy obeys, not what the split object wishes.
package mesh

import (
	"context"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Remote is another cluster that a mirror Service may lead to.
type Remote struct {
	Cluster string // target cluster as mirrors and Links name it; "": matched by the context's name, or as the only one
	Client  Client
}

// finder is one Discover on its way: what is asked, what is known so far.
type finder struct {
	t       target
	local   Client
	remotes []Remote
	snap    law.Snapshot

	c        law.Case               // of the split
	services map[string]law.Service // of the split's namespace, by name
	mirrors  map[string]law.Mirror  // of them those that mirror, by name
	links    []linkSelectors        // beside snap.Links, same order

	remoteEndpoints map[string][]law.Endpoint // of the Services behind mirrors, by backend
	sourceLabels    map[string]string
}

// Discover reads the split of q, its Services, endpoints and mirrors, the clusters behind the mirrors and the source
// pod, in a bounded number of calls that does not grow with the number of pods.
//
// A split, Service or Link that is missing is a fact of the Snapshot. What makes the question itself meaningless is an
// *Error: a malformed query, an API server that does not answer or refuses what is needed, a namespace, source pod,
// container or Service of q.Through that is not there. The Snapshot then holds what was read until then, permissions
// first. A remote cluster that does not answer is told in Snapshot.Clusters.
func Discover(ctx context.Context, local Client, remotes []Remote, q Query) (law.Snapshot, error) {
	t, err := q.parse()
	if err != nil {
		return law.Snapshot{}, err
	}
	d := &finder{t: t, local: local.remembered(), remoteEndpoints: map[string][]law.Endpoint{}}
	d.c = law.Case{
		Namespace: t.Namespace, ClientNamespace: t.clientNS, Kind: t.splitKind, Name: t.splitName, Port: t.Port,
		Probe: t.Probe, Ports: map[string]int32{},
	}
	for _, r := range remotes {
		d.remotes = append(d.remotes, Remote{Cluster: r.Cluster, Client: r.Client.remembered()})
	}
	d.snap.TakenAt = time.Now().UTC()
	steps := []func(context.Context) error{
		d.clusterStep, d.accessStep, d.servicesStep, d.sourceStep, d.throughStep, d.objectsStep, d.splitStep, d.rootStep,
		d.lawStep, d.tellStep, d.linksStep, d.backendsStep, d.remotesStep, d.factsStep,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return d.snap, err
		}
		// Steps note what they cannot read and go on; a run that was broken off must not end as a list of notes.
		if err := ctx.Err(); err != nil {
			return d.snap, apiError(local, "discover", "namespace "+t.Namespace, err)
		}
	}
	return d.snap, nil
}

func (d *finder) note(format string, args ...any) {
	d.snap.Notes = append(d.snap.Notes, fmt.Sprintf(format, args...))
}

// clusterStep is the first call: it tells an API server that is dead or refuses the user from one that lacks objects.
func (d *finder) clusterStep(ctx context.Context) error {
	c := law.Cluster{Role: "client", Context: d.local.Context, Server: d.local.server}
	v, skew, err := d.local.version(ctx)
	c.SkewMs = skew
	if err != nil {
		e := apiError(d.local, "connect", "--context "+untrusted.Safe(d.local.Context), err)
		if e.Kind == KindUnreachable || e.Kind == KindForbidden && !isForbidden(err) {
			e.Cause = err // the context is the object
			return e
		}
		d.note("the version of the client's cluster could not be read: %s", law.Brief(err))
	}
	c.Version = v
	d.snap.Clusters = append(d.snap.Clusters, c)
	return nil
}
