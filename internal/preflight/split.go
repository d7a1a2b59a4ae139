package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func splitChecks() []Check {
	return []Check{
		{
			ID: "SB031", Category: "split", Name: "the split exists", Severity: Fatal,
			Func: on(aboutSplit, splitFound),
			Hint: func(s View) string {
				return "name one that exists; to see them: " + kubectl(s, s.Split.Namespace, "get", strings.Join(splitResources(s), ","))
			},
		},
		{
			ID: "SB014", Category: "split", Name: "the weights can be used", Severity: Fatal,
			After: []string{"SB031"}, Func: on(aboutSplit, weightsUsable),
			Hint: func(s View) string {
				if !s.Split.Found {
					return ""
				}
				if s.Split.WeightErr != nil && strings.HasPrefix(s.Split.WeightErr.Object, "ServiceProfile") {
					return "write weights of 0 and above, at least one above 0: " + kubectl(s, s.Split.Profile.Namespace, "edit",
						"serviceprofile", s.Split.Profile.Name)
				}
				return "write weights of 0 and above, at least one above 0: " + editSplit(s)
			},
		},
		{
			ID: "SB003", Category: "split", Name: "the SMI adaptor runs", Severity: Fatal,
			After: []string{"SB031"}, Func: on(aboutSplit, adaptorRuns), Hint: adaptorHint,
		},
		{
			ID: "SB004", Category: "split", Name: "proxies are told the weights of the split", Severity: Fatal,
			After: []string{"SB031", "SB014", "SB016", "SB003", "SB005", "SB006", "SB021"},
			Func:  on(aboutSplit, profileAgrees), Hint: profileHint,
		},
		{
			ID: "SB005", Category: "split", Name: "no other split has the same root Service", Severity: Fatal,
			After: []string{"SB031"}, Func: on(aboutSplit, noRivals),
			Hint: rivalsHint,
		},
		{
			ID: "SB006", Category: "split", Name: "no ServiceProfile of the client's namespace hides the split", Severity: Fatal,
			After: []string{"SB035"}, Func: hiddenByNone,
			Hint: func(s View) string {
				if s.Split.Profile.State != law.ProfileFound {
					return profilesHint(s)
				}
				return "see what it says, and delete it if it is not meant: " + kubectl(s, s.Split.Profile.Namespace, "get",
					"serviceprofile", s.Split.Profile.Name, "-o", "yaml")
			},
		},
		{
			ID: "SB016", Category: "split", Name: "root and backends are Services of the split's namespace", Severity: Fatal,
			After: []string{"SB031"}, Func: namesLocal,
			Hint: func(s View) string {
				if !s.Split.Found {
					return ""
				}
				return "a TrafficSplit names Services of its own namespace by their bare names: " + editSplit(s)
			},
		},
		{
			ID: "SB021", Category: "split", Name: "the route is accepted and fits the request", Severity: Fatal,
			After: []string{"SB031", "SB014", "SB005", "SB007"}, Func: routeRules, Hint: routeHint,
		},
		{
			ID: "SB023", Category: "split", Name: "nobody else drives the weights", Severity: Warn,
			After: []string{"SB031"}, Func: on(aboutSplit, undriven),
			Hint: func(s View) string {
				return "pause it for the measurement; a change of weights in the middle makes the run invalid. To see who writes: " +
					kubectl(s, s.Split.Namespace, "get", strings.ToLower(s.Split.Kind), s.Split.Name, "--show-managed-fields", "-o", "yaml")
			},
		},
	}
}

// editSplit is the command that opens the split in an editor.
func editSplit(s View) string {
	return kubectl(s, s.Split.Namespace, "edit", strings.ToLower(s.Split.Kind), s.Split.Name)
}

// splitResources are where a split that is missing could be: of a bare name in all that this cluster serves.
func splitResources(s View) []string {
	var all, served []string
	for _, k := range law.Kinds() {
		if any := s.Split.AnyKind || s.Split.Kind == ""; string(k.Path) != s.Split.Kind && (!any || k.NamedOnly) {
			continue
		}
		for _, r := range k.Resources {
			name := r.Plural + "." + r.Group
			all = append(all, name)
			if slices.ContainsFunc(s.Access, func(a law.Access) bool { return a.What() == name }) {
				served = append(served, name)
			}
		}
	}
	if len(served) > 0 {
		return served
	}
	return all[:min(1, len(all))]
}

func isTrafficSplit(s View) bool { return s.Split.Kind == string(law.PathTrafficSplit) }

func splitName(s View) string {
	return s.Split.Kind + " " + untrusted.Safe(s.Split.Namespace) + "/" + untrusted.Safe(s.Split.Name)
}

func splitFound(s View) (Status, string) {
	if s.Split.Found {
		return OK, fmt.Sprintf("%s (%s), root Service %s", splitName(s), untrusted.Safe(s.Split.APIVersion), untrusted.Safe(s.Split.Root))
	}
	seen := untrusted.Safe(s.Split.Why)
	if seen == "" {
		seen = "there is no " + splitName(s)
	}
	if len(s.Split.Others) > 0 {
		seen += "; there are: " + strings.Join(s.Split.Others, ", ")
	}
	return Failed, seen
}

func weightsUsable(s View) (Status, string) {
	switch {
	case s.Split.WeightErr != nil:
		return Failed, s.Split.WeightErr.Error()
	case !s.Split.Found:
		return Unknown, "there is no split to read weights from"
	case s.Split.AllZero && len(s.Split.Declared) == 0:
		return Failed, splitName(s) + " names no backend: proxies send everything to the root Service itself"
	case s.Split.AllZero:
		return Failed, "every weight is 0: proxies then send everything to the root Service's own endpoints"
	case len(s.Split.Effective) == 0:
		return Unknown, "no effective weights could be read"
	}
	live := 0
	for _, w := range s.Split.Effective {
		if w.Weight > 0 {
			live++
		}
	}
	if live == 1 {
		return OK, s.Split.Effective.String() + ": one backend gets everything"
	}
	return OK, s.Split.Effective.String()
}

func declared(s View) string {
	var parts []string
	for _, d := range s.Split.Declared {
		parts = append(parts, untrusted.Safe(d.Service)+"="+untrusted.Safe(d.Raw))
	}
	return strings.Join(parts, ",")
}

func profileAgrees(s View) (Status, string) {
	if s.Split.Found && !isTrafficSplit(s) {
		return routeAgrees(s)
	}
	p := s.Split.Profile
	name := fmt.Sprintf("ServiceProfile %s/%s", untrusted.Safe(p.Namespace), untrusted.Safe(p.Name))
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split to compare with"
	case p.State == law.ProfileNotServed:
		return OK, "this cluster has no ServiceProfiles, so nothing stands between the split and the proxies"
	case p.State == law.ProfileAbsent:
		return Failed, fmt.Sprintf("there is no ServiceProfile %s.%s.svc.*, and Linkerd's proxies read the weights nowhere else", untrusted.Safe(s.Split.Root), untrusted.Safe(s.Split.Namespace))
	case p.State != law.ProfileFound:
		return Unknown, "ServiceProfiles could not be read"
	case p.Overrides == 0:
		return Failed, name + " has no dstOverrides: proxies are not told of the split"
	case s.Split.Differs && s.Split.WeightErr != nil:
		return Failed, name + " and the split cannot be compared: " + s.Split.WeightErr.Error()
	case s.Split.Differs:
		return Failed, fmt.Sprintf("%s says %s, the split says %s, and proxies obey the first", name, s.Split.Effective.String(),
			declared(s))
	case p.Skip: // the annotation's value does not matter, "false" skips too
		return Warning, name + " agrees now, but its annotation smi.linkerd.io/skip makes the SMI adaptor leave it alone"
	}
	return OK, name + " agrees with the split"
}

func profileHint(s View) string {
	p := s.Split.Profile
	if !isTrafficSplit(s) {
		return routeHint(s)
	}
	if !s.Split.Found {
		return ""
	}
	if p.State == law.ProfileUnread {
		return profilesHint(s)
	}
	if p.State == law.ProfileFound && p.Skip {
		return "let the SMI adaptor write it again: " + kubectl(s, p.Namespace, "annotate", "serviceprofile", p.Name,
			"smi.linkerd.io/skip-")
	}
	return "the SMI adaptor copies the split into the ServiceProfile; see whether it runs: " +
		kubectl(s, "linkerd-smi", "get", "deploy", "smi-adaptor")
}

// profilesHint is for ServiceProfiles that could not be read.
func profilesHint(s View) string {
	return "ask for the verb list on serviceprofiles: " + kubectl(s, s.Split.Namespace, "auth", "can-i", "list",
		"serviceprofiles.linkerd.io")
}

// noRivals is about other splits of the same root. Of two TrafficSplits the last one written wins, and deleting either clears
// both; a ServiceProfile, which a TrafficSplit becomes, comes before every route.
func noRivals(s View) (Status, string) {
	if !s.Split.Found {
		return Unknown, "there is no split to compare with"
	}
	equal, other := []string{}, []string{}
	for _, r := range s.Split.Rivals {
		if isTrafficSplit(s) && strings.HasPrefix(r, "ts/") {
			equal = append(equal, r)
		} else {
			other = append(other, r)
		}
	}
	root := untrusted.Safe(s.Split.Root)
	switch {
	case len(equal) > 0:
		return Failed, fmt.Sprintf("%s and %s all have the root Service %s: the last one written wins, and deleting either ends both",
			splitName(s), strings.Join(equal, ", "), root)
	case !isTrafficSplit(s) && !s.Law.Rules(s.Split) && len(s.Law.Objects) > 0 &&
		(s.Law.Path == law.PathServiceProfile || s.Law.Path == law.PathTrafficSplit):
		return Failed, fmt.Sprintf("%s comes before %s for root Service %s, which is ignored", s.Law.Objects[0], splitName(s), root)
	case len(other) > 0:
		return Warning, fmt.Sprintf("%s names the root Service %s too; proxies follow %s", strings.Join(other, ", "), root, follows(s))
	}
	return OK, splitName(s) + " is the only split of root Service " + root
}

// profileBefore is the ServiceProfile that takes the root from a split that proxies would read themselves, if there is one.
func profileBefore(s View) (law.ObjectRef, bool) {
	if isTrafficSplit(s) || s.Law.Rules(s.Split) || len(s.Law.Objects) == 0 || s.Law.Objects[0].Kind != "ServiceProfile" {
		return law.ObjectRef{}, false
	}
	return s.Law.Objects[0], true
}

// rivalsHint names what has to go. Of a ServiceProfile that the SMI adaptor wrote that is the TrafficSplit, or it comes back.
func rivalsHint(s View) string {
	rivals := s.Split.Rivals
	if p, ok := profileBefore(s); ok {
		written := slices.IndexFunc(rivals, func(r string) bool { return strings.HasPrefix(r, "ts/") })
		if written < 0 {
			return "routes count once the ServiceProfile is gone; what it says of retries and timeouts goes with it: " +
				kubectl(s, p.Namespace, "delete", "serviceprofile", p.Name)
		}
		rivals = rivals[written:]
	}
	if len(rivals) == 0 {
		return ""
	}
	short, name, _ := strings.Cut(rivals[0], "/")
	return "keep one of them: " + kubectl(s, s.Split.Namespace, "delete", strings.ToLower(string(law.KindOf(short)))+"/"+name)
}

// follows names what proxies obey.
func follows(s View) string {
	if len(s.Law.Objects) == 0 {
		return "none of them: the root Service alone gets everything"
	}
	return s.Law.Objects[0].String()
}

// hiddenByNone is notHidden, which is about what may be read where nothing could be.
func hiddenByNone(s View) Finding {
	status, seen := notHidden(s)
	f := about(aboutSplit, status, seen)
	if status == Unknown {
		f.items[0].tags = append(f.items[0].tags, aboutRule("serviceprofiles"))
	}
	return f
}

func notHidden(s View) (Status, string) {
	p := s.Split.Profile
	switch p.State {
	case law.ProfileNotServed, law.ProfileAbsent:
		return OK, "there is no such ServiceProfile"
	case law.ProfileFound:
	default:
		return Unknown, "ServiceProfiles could not be read"
	}
	if p.Namespace != s.Split.Namespace {
		seen := fmt.Sprintf("ServiceProfile %s/%s is of the client's namespace and comes first", untrusted.Safe(p.Namespace),
			untrusted.Safe(p.Name))
		if p.Hides != "" {
			seen += "; it hides " + untrusted.Safe(p.Hides)
		}
		return Failed, seen
	}
	return OK, fmt.Sprintf("ServiceProfile %s/%s is of the split's own namespace", untrusted.Safe(p.Namespace), untrusted.Safe(p.Name))
}

func namesLocal(s View) Finding {
	if s.Split.Found && !isTrafficSplit(s) {
		return about(aboutSplit, OK, "a "+s.Split.Kind+" names the namespaces of its Services itself")
	}
	if !s.Split.Found {
		return about(aboutSplit, Unknown, "there is no split to read names from")
	}
	f := newFindings()
	for _, name := range append([]string{s.Split.Root}, declaredNames(s)...) {
		if strings.Contains(name, ".") {
			tags := []string{aboutSplit, aboutBackend(name)}
			for _, b := range s.Backends { // as the adaptor writes it
				if strings.HasPrefix(b.Name, name+"."+s.Split.Namespace+".svc.") {
					tags = append(tags, aboutBackend(b.Name))
				}
			}
			f.add(Failed, fmt.Sprintf("%q is not a bare name: the SMI adaptor takes it for a Service of namespace %s",
				untrusted.Safe(name), untrusted.Safe(s.Split.Namespace)), tags...)
		}
	}
	return f.seen("all names are bare")
}

func declaredNames(s View) []string {
	var names []string
	for _, d := range s.Split.Declared {
		names = append(names, d.Service)
	}
	return names
}
