package mesh

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
	var unclear *law.Unclear
	if errors.As(err, &unclear) {
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
