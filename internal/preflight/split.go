package preflight

import (
	"cmp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

func splitChecks() map[string]Check {
	return map[string]Check{
		"SB031": {Func: on(aboutSplit, splitFound), Hint: func(s View) string {
			return "name one that exists; to see them: " +
				kubectl(s, s.Split.Namespace, "get", strings.Join(splitResources(s), ","))
		}},
		"SB014": {Func: on(aboutSplit, weightsUsable), Hint: weightsHint},
		"SB003": {Func: on(aboutSplit, adaptorRuns), Hint: adaptorHint},
		"SB004": {Func: on(aboutSplit, profileAgrees), Hint: profileHint},
		"SB005": {Func: on(aboutSplit, noRivals), Hint: rivalsHint},
		"SB006": {Func: hiddenByNone, Hint: func(s View) string {
			if s.Split.Profile.State != law.ProfileFound {
				return profilesHint(s)
			}
			return hiderHint(s)
		}},
		"SB016": {Func: namesLocal, Hint: func(s View) string {
			if !s.Split.Found {
				return ""
			}
			return "a TrafficSplit names Services of its own namespace by their bare names: " + editSplit(s)
		}},
		"SB021": {Func: routeRules, Hint: routeHint},
		"SB023": {Func: on(aboutSplit, undriven), Hint: func(s View) string {
			return "pause it for the measurement; a change of weights in the middle makes the run invalid. " +
				"To see who writes: " + kubectl(s, s.Split.Namespace, "get", strings.ToLower(s.Split.Kind), s.Split.Name,
				"--show-managed-fields", "-o", "yaml")
		}},
		"SB038": {
			When: func(v View) bool { return v.Told != nil }, Func: toldAgrees, Hint: toldHint,
		},
	}
}

// editSplit is the command that opens the split in an editor.
func editSplit(s View) string {
	return kubectl(s, s.Split.Namespace, "edit", strings.ToLower(s.Split.Kind), s.Split.Name)
}

// touch is the command that has the SMI adaptor write the ServiceProfile anew, which it does at any write to the split.
func touch(s View) string {
	return kubectl(s, s.Split.Namespace, "annotate", "trafficsplit", s.Split.Name, touched(s), "--overwrite")
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

func weightsHint(s View) string {
	const write = "write weights of 0 and above, at least one above 0: "
	switch err := s.Split.WeightErr; {
	case !s.Split.Found:
		return ""
	case err != nil && strings.HasPrefix(err.Object, "ServiceProfile") && isTrafficSplit(s):
		return "have the SMI adaptor write it again: " + touch(s)
	case err != nil && strings.HasPrefix(err.Object, "ServiceProfile"):
		return write + kubectl(s, s.Split.Profile.Namespace, "edit", "serviceprofile", s.Split.Profile.Name)
	}
	return write + editSplit(s)
}

func isTrafficSplit(s View) bool { return law.KindNamed(law.Path(s.Split.Kind)).Copied }

func splitName(s View) shown { return say("%s %s/%s", s.Split.Kind, s.Split.Namespace, s.Split.Name) }

func profileName(s View) shown {
	return say("ServiceProfile %s/%s", s.Split.Profile.Namespace, s.Split.Profile.Name)
}

func splitFound(s View) (Status, shown) {
	if s.Split.Found {
		return OK, say("%s (%s), root Service %s", splitName(s), s.Split.APIVersion, s.Split.Root)
	}
	seen := cmp.Or(say("%s", s.Split.Why), "there is no "+splitName(s))
	if len(s.Split.Others) > 0 {
		seen += "; " + shown(law.Candidates(s.Split.Asked(), "splits", s.Split.Others))
	}
	return Failed, seen
}

func weightsUsable(s View) (Status, shown) {
	weights := s.Split.Effective
	switch {
	case unfit(s):
		return Unknown, "which weights are in question is not known: no rule fits the request"
	case s.Split.WeightErr != nil:
		return Failed, shown(s.Split.WeightErr.Error())
	case !s.Split.Found:
		return Unknown, "there is no split to read weights from"
	case s.Split.AllZero && len(s.Split.Declared) == 0:
		return Failed, splitName(s) + " names no backend: proxies send everything to the root Service itself"
	case s.Split.AllZero:
		return Failed, "every weight is 0: proxies then send everything to the root Service's own endpoints"
	case len(weights) == 0 && s.Law.Problem != "":
		return Unknown, "nothing is drawn that weights could be read of"
	case len(weights) == 0:
		return Unknown, "no effective weights could be read"
	}
	live := slices.DeleteFunc(slices.Clone(weights), func(w law.Weight) bool { return w.Weight <= 0 })
	if len(live) == 1 {
		return OK, say("%s: one backend gets everything", weights)
	}
	return OK, say("%s", weights)
}

func declared(s View) shown {
	var parts []string
	for _, d := range s.Split.Declared {
		parts = append(parts, string(say("%s=%s", d.Service, d.Raw)))
	}
	return shown(strings.Join(parts, ","))
}

func profileAgrees(s View) (Status, shown) {
	p, name := s.Split.Profile, profileName(s)
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split to compare with"
	case !isTrafficSplit(s), passedOver(s):
		return routeAgrees(s)
	case p.State == law.ProfileNotServed:
		return OK, "this cluster has no ServiceProfiles, so nothing stands between the split and the proxies"
	case p.State == law.ProfileAbsent:
		return Failed, say("there is no ServiceProfile %s.%s.svc.*, and Linkerd's proxies read the weights nowhere else: "+
			"the root Service alone gets everything", s.Split.Root, s.Split.Namespace)
	case p.State != law.ProfileFound:
		return Unknown, "ServiceProfiles could not be read"
	case p.Overrides == 0:
		return Failed, name + " has no dstOverrides: proxies are not told of the split"
	case s.Split.Differs && s.Split.WeightErr != nil:
		return Failed, name + " and the split cannot be compared: " + shown(s.Split.WeightErr.Error())
	case s.Split.Differs:
		return Failed, say("%s says %s, the split says %s, and proxies obey the first", name, s.Split.Effective, declared(s))
	case p.Skip: // the annotation's value does not matter, "false" skips too
		return Warning, name + " agrees now, but its annotation smi.linkerd.io/skip makes the SMI adaptor leave it alone"
	}
	return OK, name + " agrees with the split"
}

// passedOver reports a TrafficSplit that no ServiceProfile could bring to the proxies: they are of another mesh, or a
// route rules.
func passedOver(s View) bool {
	return !s.Law.Rules(s.Split) && (law.IsRoute(s.Law.Path) || s.Law.Provider == law.ProviderIstio)
}

func profileHint(s View) string {
	p := s.Split.Profile
	switch {
	case !isTrafficSplit(s):
		return routeHint(s)
	case !s.Split.Found:
		return ""
	case p.State == law.ProfileUnread:
		return profilesHint(s)
	case len(s.Split.Rivals) > 0 && ofTrafficSplit(s.Split.Rivals[0]):
		return rivalsHint(s)
	case p.State == law.ProfileFound && p.Namespace != s.Split.Namespace:
		return hiderHint(s)
	case p.State == law.ProfileFound && p.Skip:
		return "let the SMI adaptor write it again, which it does at the next write to the split: " +
			kubectl(s, p.Namespace, "annotate", "serviceprofile", p.Name, "smi.linkerd.io/skip-") + " && " + touch(s)
	case s.Facts.Adaptor.Available:
		return "have the SMI adaptor, which runs, write it again (by itself it looks about every ten minutes): " + touch(s)
	}
	return adaptorHint(s)
}

// hiderHint is about a ServiceProfile of the client's namespace.
func hiderHint(s View) string {
	return "delete it, if it is not meant: " +
		kubectl(s, s.Split.Profile.Namespace, "delete", "serviceprofile", s.Split.Profile.Name)
}

// profilesHint is for ServiceProfiles that could not be read.
func profilesHint(s View) string {
	return "ask for the verb list on serviceprofiles: " +
		kubectl(s, s.Split.Namespace, "auth", "can-i", "list", "serviceprofiles.linkerd.io")
}

// ofTrafficSplit reports whether a rival is a TrafficSplit.
func ofTrafficSplit(rival string) bool { return strings.HasPrefix(rival, "ts/") }

// noRivals is about other splits of the same root. Of two TrafficSplits the last one written wins, and deleting either
// clears both; a ServiceProfile, which a TrafficSplit becomes, comes before every route.
func noRivals(s View) (Status, shown) {
	var equal, other []string
	for _, r := range s.Split.Rivals {
		if isTrafficSplit(s) && ofTrafficSplit(r) {
			equal = append(equal, r)
		} else {
			other = append(other, r)
		}
	}
	first, before := ruledOut(s)
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split to compare with"
	case len(equal) > 0:
		return Failed, say("%s and %s all have the root Service %s: the last one written wins, and deleting either ends both",
			splitName(s), shown(strings.Join(equal, ", ")), s.Split.Root)
	case before && (s.Law.Path == law.PathServiceProfile || s.Law.Path == law.PathTrafficSplit):
		return Failed, say("%s comes before %s for root Service %s, which is ignored", first, splitName(s), s.Split.Root)
	case len(other) > 0:
		return Warning, say("%s names the root Service %s too; proxies follow %s",
			shown(strings.Join(other, ", ")), s.Split.Root, follows(s))
	}
	return OK, say("%s is the only split of root Service %s", splitName(s), s.Split.Root)
}

// ruledOut returns the object that takes the root from a split that proxies would read themselves, if there is one.
func ruledOut(s View) (law.ObjectRef, bool) {
	if isTrafficSplit(s) || s.Law.Rules(s.Split) || len(s.Law.Objects) == 0 {
		return law.ObjectRef{}, false
	}
	return s.Law.Objects[0], true
}

// rivalsHint names what has to go, and what has to be done for the rest to be in force. Of a ServiceProfile that the
// SMI adaptor wrote that is the TrafficSplit, or it comes back. The adaptor empties the profile when any TrafficSplit
// of the root is deleted, so the one that stays must be written once more; and proxies keep what a deleted one said for
// as long as they are used.
func rivalsHint(s View) string {
	p, ruled := ruledOut(s)
	var splits, others []string
	for _, r := range s.Split.Rivals {
		kind, name, _ := strings.Cut(r, "/")
		of := &others
		if ofTrafficSplit(r) {
			of = &splits
		}
		*of = append(*of, strings.ToLower(string(law.KindOf(kind)))+"/"+name)
	}
	remove := func(objects ...string) string {
		return kubectl(s, s.Split.Namespace, append([]string{"delete"}, objects...)...)
	}
	again := ", and start the clients again, which keep the deleted split while they use it: "
	switch {
	case isTrafficSplit(s) && len(splits) > 0:
		return "keep one of them; to keep this one, delete the others and then write it once more, for a deletion ends " +
			"both: " + remove(splits...) + " && " + touch(s)
	case ruled && p.Kind == "ServiceProfile" && len(splits) > 0:
		return "keep one of them; to have the route rule, delete the TrafficSplit" + again + remove(splits...) + " && " +
			restart(s, s.Source)
	case ruled && p.Kind == "ServiceProfile":
		return "routes count once the ServiceProfile is gone; what it says of retries and timeouts goes with it; delete it" +
			again + kubectl(s, p.Namespace, "delete", "serviceprofile", p.Name) + " && " + restart(s, s.Source)
	case len(others) > 0:
		return "keep one of them: " + remove(others[0])
	}
	return ""
}

// follows names what proxies obey.
func follows(s View) shown {
	if len(s.Law.Objects) == 0 {
		return "none of them: the root Service alone gets everything"
	}
	return say("%s", s.Law.Objects[0])
}

// hiddenByNone is about the split, and where nothing could be read about what may be read.
func hiddenByNone(s View) Finding {
	f := newFindings()
	on, p := f.about(aboutSplit), s.Split.Profile
	switch {
	case p.State == law.ProfileNotServed || p.State == law.ProfileAbsent:
		on.add(OK, "there is no such ServiceProfile")
	case p.State != law.ProfileFound:
		on.tags = append(on.tags, aboutRule("serviceprofiles"))
		on.add(Unknown, "ServiceProfiles could not be read")
	case p.Namespace == s.Split.Namespace:
		on.add(OK, "%s is of the split's own namespace", profileName(s))
	case p.Hides != "":
		on.add(Failed, "%s is of the client's namespace and comes first; it hides %s", profileName(s), p.Hides)
	default:
		on.add(Failed, "%s is of the client's namespace and comes first", profileName(s))
	}
	return f.seen("")
}

func namesLocal(s View) Finding {
	switch {
	case !s.Split.Found:
		return about(aboutSplit, Unknown, "there is no split to read names from")
	case !isTrafficSplit(s):
		return about(aboutSplit, OK, say("a %s names the namespaces of its Services itself", s.Split.Kind))
	}
	names := []string{s.Split.Root}
	for _, d := range s.Split.Declared {
		names = append(names, d.Service)
	}
	f := newFindings()
	for _, name := range names {
		if !strings.Contains(name, ".") {
			continue
		}
		on := f.about(aboutSplit, aboutBackend(name))
		for _, b := range s.Backends { // as the adaptor writes it
			if strings.HasPrefix(b.Name, name+"."+s.Split.Namespace+".svc.") {
				on.tags = append(on.tags, aboutBackend(b.Name))
			}
		}
		on.add(Failed, "%q is not a bare name: the SMI adaptor takes it for a Service of namespace %s",
			name, s.Split.Namespace)
	}
	return f.seen("all names are bare")
}
