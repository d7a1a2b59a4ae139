package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// ReadForConversion reads the TrafficSplit that q names from a cluster: one list of TrafficSplits, one of Services.
func ReadForConversion(ctx context.Context, c Client, q Query) (law.Sources, error) {
	t, err := q.parse()
	if err != nil {
		return law.Sources{}, err
	}
	if t.splitKind != "" && t.splitKind != law.PathTrafficSplit {
		return law.Sources{}, usage("convert", fmt.Sprintf("%q", untrusted.Safe(q.Split)), "only a TrafficSplit is converted",
			"name one as ts/NAME")
	}
	c = c.remembered()
	groups, err := c.groups(ctx)
	if err != nil {
		return law.Sources{}, apiError(c, "list", "API groups", err)
	}
	items, err := c.list(ctx, law.TrafficSplits(), t.Namespace)
	in := "in namespace " + t.Namespace
	missing := func(object, cause, hint string) (law.Sources, error) {
		return law.Sources{}, notFound("find split", object, cause, hint)
	}
	switch {
	case errors.Is(err, errNotServed):
		return missing(untrusted.Safe(q.Split)+" "+in,
			"context "+untrusted.Safe(c.Context)+" serves no TrafficSplits (split.smi-spec.io)", "name a file with -f")
	case err != nil:
		return law.Sources{}, apiError(c, "list", "TrafficSplits "+in, err)
	case t.splitName == "" && len(items) == 0:
		return missing(in, "there is no TrafficSplit", "name its namespace with -n, or a file with -f")
	}
	u, err := law.PickTrafficSplit(items, t.Namespace, t.splitName, t.splitKind != "")
	if unclear, ok := errors.AsType[*law.Unclear](err); ok {
		return law.Sources{}, unclearError(unclear)
	}
	if u == nil {
		return missing(untrusted.Safe(q.Split)+" "+in, "there is no such TrafficSplit",
			law.Candidates(q.Split, "TrafficSplits", namesOf("ts/", items)))
	}
	out := law.Sources{Split: u, Version: routeVersion(groups)}
	services, err := c.servicesOf(ctx, t.Namespace)
	if err != nil && !errors.Is(err, errTooMany) {
		return law.Sources{}, apiError(c, "list", "Services in namespace "+t.Namespace, err)
	}
	for i := range services {
		if services[i].Name == law.RootOf(u) {
			out.Ports = readService(&services[i]).Ports
		}
	}
	return out, nil
}

// routeVersion is the API of the HTTPRoutes that the server serves, newest first; the Gateway API's v1 where it serves
// none.
func routeVersion(groups *metav1.APIGroupList) string {
	for _, r := range law.KindNamed(law.PathHTTPRoute).Resources {
		if v := r.ServedBy(groups); len(v) > 0 {
			return r.Group + "/" + v[0]
		}
	}
	return "gateway.networking.k8s.io/v1"
}

// maxConvertBytes bounds a file of objects.
const maxConvertBytes = 16 << 20

// ReadConversionFile reads TrafficSplits, and Services for their ports, from YAML or JSON documents; objects of other
// kinds are passed over. A List is read as its items.
func ReadConversionFile(r io.Reader) ([]law.Sources, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxConvertBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxConvertBytes {
		return nil, fmt.Errorf("it is larger than %d MiB", maxConvertBytes>>20)
	}
	var splits []*unstructured.Unstructured
	ports := map[string][]law.Port{}
	take := func(o runtime.Object) error {
		u, ok := o.(*unstructured.Unstructured)
		switch {
		case !ok:
		case u.GetKind() == "TrafficSplit" && strings.HasPrefix(u.GetAPIVersion(), law.TrafficSplits().Group+"/"):
			splits = append(splits, u)
		case u.GetKind() == "Service" && u.GetAPIVersion() == "v1":
			var svc core.Service
			if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &svc) == nil {
				ports[svc.Namespace+"/"+svc.Name] = readService(&svc).Ports
			}
		}
		return nil
	}
	d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
	for n := 1; ; n++ {
		u := &unstructured.Unstructured{}
		err := d.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
		case u.IsList():
			err = u.EachListItem(take)
		default:
			err = take(u)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %s", n, law.Brief(err))
		}
	}
	var out []law.Sources
	for _, u := range splits {
		out = append(out, law.Sources{
			Split: u, Ports: ports[u.GetNamespace()+"/"+law.RootOf(u)], Version: "gateway.networking.k8s.io/v1",
		})
	}
	return out, nil
}
