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
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// objectsStep lists whatever may say how the root's traffic is split, before it is known which of it is meant: a bare
// name may be a root Service's, and only all kinds together tell what rules there.
func (d *finder) objectsStep(ctx context.Context) error {
	c := &d.c
	c.Source, c.Through, c.SourceLabels, c.Services = d.snap.Source, d.snap.Through, d.sourceLabels, d.services
	d.profilesStep(ctx)
	for _, k := range law.Kinds() {
		if k.Provider != "" && k.Provider != c.Provider() && k.Path != d.t.splitKind {
			continue // no proxy here reads it
		}
		if err := d.readKind(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// readKind lists the objects of a kind from every resource that is served. What cannot be listed and might rule is
// noted; where the question cannot be answered without, it is an error.
func (d *finder) readKind(ctx context.Context, k law.Kind) error {
	served := false
	for _, r := range k.Resources {
		if !d.local.serves(ctx, r) {
			continue
		}
		items, where, err := d.listKind(ctx, k, r)
		switch {
		case errors.Is(err, errNotServed):
			continue
		case err != nil && len(items) == 0 && k.Essential(d.t.splitKind):
			return apiError(d.local, "list", string(k.Path)+"s in namespace "+d.t.Namespace, err)
		case err != nil && k.Needed:
			d.note("%s could not be read: %s", where, law.Brief(err))
		case err != nil:
			d.c.Objects.Unread = append(d.c.Objects.Unread, where)
			d.note("%s could not be read, and may rule: %s", where, law.Brief(err))
		}
		served = true
		d.c.Objects.Add(k, items)
	}
	if !served && k.Unserved != "" {
		d.c.Objects.NoSplits = k.Unserved
	}
	return nil
}

// listKind lists a kind's objects from the namespaces that count: that of the split and, of what several meshes read,
// that of the client, since routes elsewhere hold for clients of their own namespace; or all, and where those may not
// be listed the likeliest. where names what an error is about.
func (d *finder) listKind(ctx context.Context, k law.Kind, r law.Resource) (items []unstructured.Unstructured,
	where string, err error,
) {
	name := r.Plural + "." + r.Group
	namespaces := []string{d.t.Namespace}
	if !k.Needed {
		namespaces = slices.Compact([]string{d.t.Namespace, d.t.clientNS})
	}
	if k.Everywhere {
		items, err = d.local.list(ctx, r, "")
		if !isForbidden(err) {
			return items, name, err
		}
		where = name + " of other namespaces"
		if k.Home != "" {
			namespaces = append(namespaces, k.Home)
		}
	}
	for _, ns := range namespaces {
		more, nsErr := d.local.list(ctx, r, ns)
		if items = append(items, more...); nsErr != nil {
			err, where = nsErr, cmp.Or(where, name+" of namespace "+untrusted.Safe(ns))
		}
	}
	return items, where, err
}

// profilesStep lists the ServiceProfiles of the client's and the split's namespace, either of which may rule.
func (d *finder) profilesStep(ctx context.Context) {
	o := &d.c.Objects
	for _, ns := range slices.Compact([]string{d.t.clientNS, d.t.Namespace}) {
		items, err := d.local.list(ctx, law.ServiceProfiles(), ns)
		switch {
		case errors.Is(err, errNotServed):
			o.ProfilesState = law.ProfileNotServed
		case err != nil:
			o.ProfilesState, o.ProfilesWhy = law.ProfileUnread, law.Brief(err)
		}
		if err != nil {
			return
		}
		o.Profiles = append(o.Profiles, items...)
	}
}

// splitStep finds the split object. That it is missing is for a check to say.
func (d *finder) splitStep(context.Context) error {
	err := d.c.Pick()
	d.snap.Split = d.c.Split
	d.takeNotes()
	if unclear, ok := errors.AsType[*law.Unclear](err); ok {
		return unclearError(unclear)
	}
	return err
}

// lawStep settles by which law the client's proxy draws.
func (d *finder) lawStep(ctx context.Context) error {
	d.c.Elsewhere = map[string]law.Service{}
	for _, name := range d.c.Foreign() {
		if s, err := d.serviceElsewhere(ctx, name); err == nil {
			d.c.Elsewhere[name] = s
		}
	}
	d.c.Root, d.c.DialPort = d.snap.Root, d.snap.Port
	d.c.Decide()
	d.snap.Split, d.snap.Law = d.c.Split, d.c.Law
	d.takeNotes()
	return nil
}

func (d *finder) takeNotes() {
	d.snap.Notes, d.c.Notes = append(d.snap.Notes, d.c.Notes...), nil
}

func unclearError(u *law.Unclear) *Error {
	e := &Error{Kind: KindNotFound, Op: "find split", Object: u.Object, Cause: errors.New(u.Cause), Hint: u.Hint}
	if u.Several {
		e.Kind = KindAmbiguous
	}
	return e
}

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
