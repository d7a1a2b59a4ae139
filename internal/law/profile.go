package law

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// A TrafficSplit does nothing by itself on Linkerd 2.12 and later: the SMI adaptor copies it into dstOverrides of a
// ServiceProfile, and that is what the destination controller sends to proxies. So the profile's weights are the ones
// to test against wherever there is a profile.

// PathServiceProfile is Linkerd's path by a ServiceProfile.
const PathServiceProfile Path = "ServiceProfile"

// ServiceProfiles are what the destination controller of Linkerd sends to proxies.
func ServiceProfiles() Resource {
	return Resource{Group: "linkerd.io", Plural: "serviceprofiles", Versions: []string{"v1alpha2", "v1alpha1"}}
}

func serviceProfileKind() Kind {
	return Kind{
		Path: PathServiceProfile, Short: "sp", For: "the split", Provider: ProviderLinkerd, // read for every split
		pick: (*Case).pickServiceProfile,
	}
}

// pickServiceProfile makes the ServiceProfile of a root Service the split, where it has targets and nothing that it was
// made from is there: it was written by hand, or its TrafficSplit has left it behind.
func (c *Case) pickServiceProfile() (bool, error) {
	if c.Provider() != ProviderLinkerd {
		return false, nil
	}
	root := c.Name
	if c.Kind == PathServiceProfile {
		root, _, _ = strings.Cut(root, "."+c.Namespace+".svc.")
	}
	u, _ := pickProfile(c.Objects.Profiles, root, c.Namespace, c.ClientNamespace)
	if u == nil || u.GetNamespace() != c.Namespace {
		return false, nil
	}
	if _, overrides, _, weightErr := readProfile(u, c.Namespace); len(overrides) == 0 && weightErr == nil {
		return false, nil
	}
	c.Split, c.root = splitOf(u), serviceRef{namespace: c.Namespace, name: root}
	c.Split.Kind, c.Split.Root = string(PathServiceProfile), root
	return true, nil
}

// override is one entry of dstOverrides with its authority taken apart.
type override struct {
	leafWeight
	port int32 // 0: the port that the client dialled
}

// pickProfile chooses the profile that the proxies of a client in clientNS obey for root in rootNS: the one of the
// client's namespace hides the one of the root's. The profile's name is <root>.<rootNS>.svc.<cluster domain>; the
// domain is not known here, so cluster.local is preferred where several exist. hidden is the name of the profile that
// is hidden, if any.
func pickProfile(items []unstructured.Unstructured, root, rootNS, clientNS string) (p *unstructured.Unstructured,
	hidden string,
) {
	prefix := root + "." + rootNS + ".svc."
	var fit []*unstructured.Unstructured
	for i := range items {
		if strings.HasPrefix(items[i].GetName(), prefix) {
			fit = append(fit, &items[i])
		}
	}
	rank := func(u *unstructured.Unstructured) int {
		r := 0
		if u.GetName() != prefix+"cluster.local" {
			r++
		}
		if u.GetNamespace() != clientNS {
			r += 2
		}
		return r
	}
	slices.SortStableFunc(fit, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	if len(fit) == 0 {
		return nil, ""
	}
	for _, other := range fit[1:] {
		if other.GetNamespace() != fit[0].GetNamespace() {
			return fit[0], other.GetNamespace() + "/" + other.GetName()
		}
	}
	return fit[0], ""
}

// readProfile takes one ServiceProfile apart.
func readProfile(u *unstructured.Unstructured, rootNS string) (Profile, []override, []string, *WeightError) {
	p := Profile{
		State: ProfileFound, Namespace: u.GetNamespace(), Name: u.GetName(), UID: string(u.GetUID()),
		ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(), Created: u.GetCreationTimestamp().UTC(),
	}
	_, p.Skip = u.GetAnnotations()["smi.linkerd.io/skip"] // any value counts, "false" too
	p.LastWriter, p.LastWritten = lastWriter(u)
	leaves, declared, weightErr := readLeaves(u, "ServiceProfile "+p.Namespace+"/"+p.Name, "dstOverrides", "authority")
	p.Overrides = len(declared)
	ttl, budget, _ := unstructured.NestedString(u.Object, "spec", "retryBudget", "ttl")
	if _, err := time.ParseDuration(ttl); budget && err != nil && weightErr == nil {
		weightErr = &WeightError{
			Object: "ServiceProfile " + p.Namespace + "/" + p.Name, Field: "spec.retryBudget.ttl", Raw: ttl,
			Why: "not a duration: the destination controller then tells proxies nothing of the profile",
		}
	}
	var out []override
	var notes []string
	for _, l := range leaves {
		name, port, ok := parseAuthority(l.leaf, rootNS)
		if !ok {
			notes = append(notes, fmt.Sprintf("ServiceProfile %s sends traffic to %q, which is not a Service's name",
				untrusted.Safe(p.Name), untrusted.Safe(l.leaf)))
		}
		out = append(out, override{leafWeight: leafWeight{leaf: name, tenThousandth: l.tenThousandth}, port: port})
	}
	return p, out, notes, weightErr
}

// apart gives the ports of one Service names that tell them apart; dialled is the port that the client dials.
func apart(overrides []override, dialled int32) []override {
	out := slices.Clone(overrides)
	port := func(o override) int32 { return cmp.Or(o.port, dialled) }
	for i, o := range overrides {
		if slices.ContainsFunc(overrides, func(p override) bool { return p.leaf == o.leaf && port(p) != port(o) }) {
			out[i].leaf = nameOfPort(o.leaf, port(o))
		}
	}
	return out
}

// parseAuthority reads name.namespace.svc.domain[:port] and gives the Service as the rest of the Snapshot names it: by
// its bare name in the root's namespace, as name.namespace in another. What is no such name is returned as it is, with
// false.
func parseAuthority(authority, rootNS string) (service string, port int32, ok bool) {
	host := authority
	if h, p, found := strings.Cut(authority, ":"); found {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return authority, 0, false
		}
		host, port = h, int32(n)
	}
	host = strings.TrimSuffix(host, ".")
	labels := strings.Split(host, ".")
	if len(labels) < 4 || labels[2] != "svc" || labels[0] == "" || labels[1] == "" {
		return host, port, false
	}
	if labels[1] == rootNS {
		return labels[0], port, true
	}
	return labels[0] + "." + labels[1], port, true
}

// settleProfile settles what the TrafficSplit says, and lets the root's ServiceProfile take its place.
func (c *Case) settleProfile() {
	s := &c.Split
	if c.root.name == "" {
		return
	}
	if s.Found && s.Kind == string(PathTrafficSplit) {
		declared, allZero, sumErr := effective(s.Root, c.leaves)
		if sumErr != nil && s.WeightErr == nil {
			s.WeightErr = &WeightError{
				Object: s.String(), Field: "spec.backends", Raw: lawTextOf(s.Declared), Why: sumErr.Error(),
			}
		}
		if s.WeightErr == nil {
			s.Effective, s.AllZero, s.EffectiveFrom = declared, allZero, s.String()
		}
	}
	switch {
	case c.Provider() != ProviderLinkerd:
		s.Profile.State = ProfileNotServed // whatever it says, this proxy does not read it
	case c.Objects.ProfilesState == ProfileUnread:
		s.Profile.State = ProfileUnread
		c.note("ServiceProfiles could not be read, so what proxies obey is taken from the split itself: %s",
			c.Objects.ProfilesWhy)
	case c.Objects.ProfilesState == ProfileNotServed:
		s.Profile.State = ProfileNotServed
	default:
		c.obeyProfile(c.Objects.Profiles)
	}
}

// obeyProfile lets the profile's weights take the place of the split's. Proxies follow a profile that has routes or
// targets, before any route of the Gateway API; an override of weight 0 is no target (linkerd2-proxy,
// service-profiles/src/proto.rs).
func (c *Case) obeyProfile(items []unstructured.Unstructured) {
	s := &c.Split
	u, hidden := pickProfile(items, c.root.name, c.root.namespace, c.ClientNamespace)
	if u == nil {
		s.Profile.State = ProfileAbsent
		return
	}
	profile, overrides, notes, weightErr := readProfile(u, c.Namespace)
	overrides = apart(overrides, c.DialPort)
	profile.Hides, c.profileSettings = hidden, profile.readRoutes(u)
	s.Profile, c.profileRef = profile, refOf(u)
	for _, n := range notes {
		c.note("%s", n)
	}
	live := func(o override) bool { return o.tenThousandth > 0 }
	c.profileSplits = weightErr != nil || slices.ContainsFunc(overrides, live)
	c.profileRules = c.profileSplits || profile.Routes > 0
	if !c.profileRules && s.Kind != string(PathTrafficSplit) {
		return
	}
	object := c.profileRef.String()
	unusable := func(why *WeightError) {
		s.WeightErr = cmp.Or(s.WeightErr, why)
		s.Effective, s.EffectiveFrom, s.Differs = nil, object, true
	}
	ofOverride := weightErr != nil && strings.HasPrefix(weightErr.Field, "spec.dstOverrides[")
	if weightErr != nil && (!ofOverride || len(overrides) < profile.Overrides) {
		unusable(weightErr)
		return
	}
	s.WeightErr = cmp.Or(s.WeightErr, weightErr) // of a weight that wraps around
	// The split's own order first, its backends with weight 0 where the profile leaves them out: the split names them, so
	// an answer of theirs is looked for.
	itself := s.Kind == string(PathServiceProfile)
	for _, o := range overrides {
		if itself {
			s.Declared = append(s.Declared, Declared{Service: o.leaf, Raw: rawWeight(float64(o.tenThousandth) / 10_000)})
		}
	}
	var leaves []leafWeight
	for _, decl := range s.Declared {
		leaves = append(leaves, leafWeight{leaf: decl.Service})
	}
	for _, o := range overrides {
		leaves = append(leaves, o.leafWeight)
		c.Ports[o.leaf] = o.port
	}
	obeyed, allZero, err := effective(s.Root, leaves)
	if err != nil {
		unusable(&WeightError{Object: object, Field: "spec.dstOverrides", Why: err.Error()})
		return
	}
	s.Differs = s.Found && !itself && !sameLaw(c.declared(), obeyed)
	s.Effective, s.EffectiveFrom, s.AllZero = obeyed, object, allZero && len(overrides) > 0
}

func lawTextOf(ds []Declared) string {
	parts := make([]string, 0, len(ds))
	for _, d := range ds {
		parts = append(parts, d.Service+"="+d.Raw)
	}
	return strings.Join(parts, ",")
}

// readRoutes reads what a ServiceProfile says besides its overrides; what is no route counts as one that says nothing.
// The routes that are retried or cut off are settings, at most ten.
func (p *Profile) readRoutes(u *unstructured.Unstructured) (settings []Setting) {
	p.OpaquePorts, _, _ = unstructured.NestedStringSlice(u.Object, "spec", "opaquePorts")
	raw, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "routes")
	routes, _ := raw.([]any)
	p.Routes = len(routes)
	for i, r := range routes {
		add := func(field, value, why string) {
			field = fmt.Sprintf("spec.routes[%d].%s", i, field)
			if len(settings) < maxListed {
				settings = append(settings, Setting{refOf(u).String(), field, untrusted.Short(value, 100), why})
			}
		}
		route, _ := r.(map[string]any)
		if route["isRetryable"] == true {
			p.Retryable++
			add("isRetryable", "true", "")
		}
		if timeout, _ := route["timeout"].(string); timeout != "" {
			p.Timeouts++
			why := ""
			if _, err := time.ParseDuration(timeout); err != nil {
				why = "not a duration"
			}
			add("timeout", timeout, why)
		}
	}
	return settings
}

// SplitOfProfile is how a ServiceProfile splits the Service for clients of its own namespace, nil where none does.
func SplitOfProfile(profiles []unstructured.Unstructured, namespace, service string) *RemoteSplit {
	u, _ := pickProfile(profiles, service, namespace, namespace)
	if u == nil {
		return nil
	}
	p, overrides, _, weightErr := readProfile(u, namespace)
	if p.Overrides == 0 || weightErr != nil {
		return nil
	}
	leaves := make([]leafWeight, 0, len(overrides))
	for _, o := range overrides {
		leaves = append(leaves, o.leafWeight)
	}
	ws, _, err := effective(service, leaves)
	if err != nil {
		return nil
	}
	return &RemoteSplit{Object: "ServiceProfile " + p.Namespace + "/" + p.Name, Weights: ws}
}
