package mesh

import (
	"context"
	"errors"
	"slices"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// objectsStep lists whatever may say how the root's traffic is split, before it is known which of it is meant: a bare name
// may be a root Service's, and only all kinds together tell what rules there.
func (d *finder) objectsStep(ctx context.Context) error {
	c := &d.c
	c.Source, c.Through, c.SourceLabels, c.Services = d.snap.Source, d.snap.Through, d.sourceLabels, d.services
	var err error
	if d.groups, err = d.local.groups(ctx); err != nil {
		return apiError(d.local, "list", "API groups", err)
	}
	d.c.Objects.TrafficSplits, err = d.local.list(ctx, law.TrafficSplits(), law.TrafficSplits().ServedBy(d.groups), d.t.Namespace)
	switch {
	case errors.Is(err, errNotServed):
		d.c.Objects.NoSplits = "the API server serves no TrafficSplits (split.smi-spec.io)"
	case err != nil && (d.t.splitKind == "" || d.t.splitKind == law.PathTrafficSplit):
		return apiError(d.local, "list", "TrafficSplits in namespace "+d.t.Namespace, err)
	case err != nil:
		d.note("TrafficSplits could not be read: %s", brief(err))
	}
	d.profilesStep(ctx)
	d.istioStep(ctx)
	if err := d.traefikStep(ctx); err != nil {
		return err
	}
	return d.routesStep(ctx)
}

// istioStep lists VirtualServices, which may lie in any namespace; where not all may be listed, those of the namespaces that
// matter most. Of a client that is known to be Linkerd's they are of no interest unless one was asked for.
func (d *finder) istioStep(ctx context.Context) {
	if d.c.Provider() != law.ProviderIstio && d.t.splitKind != law.PathVirtualService {
		return
	}
	kind := law.VirtualServices()
	versions := kind.ServedBy(d.groups)
	items, err := d.local.list(ctx, kind, versions, "")
	if isForbidden(err) {
		items = nil
		for _, ns := range slices.Compact([]string{d.t.Namespace, d.t.clientNS, law.IstioRoot}) {
			more, err2 := d.local.list(ctx, kind, versions, ns)
			items = append(items, more...)
			if err2 != nil {
				err = err2
			}
		}
		d.c.Objects.Unread = append(d.c.Objects.Unread, "virtualservices of other namespaces")
		d.note("VirtualServices of other namespaces could not be read, and may rule: %s", brief(err))
	} else if err != nil && !errors.Is(err, errNotServed) {
		d.c.Objects.Unread = append(d.c.Objects.Unread, kind.Plural)
		d.note("VirtualServices could not be read, and may rule: %s", brief(err))
	}
	d.c.Objects.AddVirtualServices(items)
}

// traefikStep lists TraefikServices where one was asked for: of all namespaces, since they may name each other, or of its own.
func (d *finder) traefikStep(ctx context.Context) error {
	if d.t.splitKind != law.PathTraefikService {
		return nil
	}
	for _, kind := range law.TraefikServices() {
		versions := kind.ServedBy(d.groups)
		items, err := d.local.list(ctx, kind, versions, "")
		if isForbidden(err) {
			items, err = d.local.list(ctx, kind, versions, d.t.Namespace)
		}
		if errors.Is(err, errNotServed) {
			continue
		}
		if err != nil {
			return apiError(d.local, "list", "TraefikServices in namespace "+d.t.Namespace, err)
		}
		d.c.Objects.AddTraefikServices(items)
		return nil
	}
	return nil
}

// routesStep lists the Gateway API routes of the split's and the client's namespace: one list for each kind that the API
// server serves, and namespace. Routes elsewhere cannot rule: they hold for clients of their own namespace.
func (d *finder) routesStep(ctx context.Context) error {
	namespaces := []string{d.t.Namespace}
	if d.t.clientNS != d.t.Namespace {
		namespaces = append(namespaces, d.t.clientNS)
	}
	for _, kind := range law.RouteResources() {
		if !d.serves(ctx, kind) {
			continue
		}
		for _, ns := range namespaces {
			items, err := d.local.list(ctx, kind, kind.ServedBy(d.groups), ns)
			if errors.Is(err, errNotServed) {
				break
			}
			if err != nil {
				d.c.Objects.Unread = append(d.c.Objects.Unread, kind.Plural+"."+kind.Group)
				d.note("%s.%s of namespace %s could not be read, and may rule: %s", kind.Plural, kind.Group, untrusted.Safe(ns), brief(err))
				break
			}
			d.c.Objects.AddRoutes(items)
		}
	}
	return nil
}

// profilesStep lists the ServiceProfiles of the client's and the split's namespace, either of which may rule.
func (d *finder) profilesStep(ctx context.Context) {
	kind, o := law.ServiceProfiles(), &d.c.Objects
	for _, ns := range slices.Compact([]string{d.t.clientNS, d.t.Namespace}) {
		items, err := d.local.list(ctx, kind, kind.ServedBy(d.groups), ns)
		switch {
		case errors.Is(err, errNotServed):
			o.ProfilesState = law.ProfileNotServed
		case err != nil:
			o.ProfilesState, o.ProfilesWhy = law.ProfileUnread, brief(err)
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
	var unclear *law.Unclear
	if errors.As(err, &unclear) {
		return unclearError(unclear)
	}
	return err
}

// lawStep settles by which law the client's proxy draws.
func (d *finder) lawStep(context.Context) error {
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
