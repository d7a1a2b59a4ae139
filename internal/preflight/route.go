package preflight

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// adaptorRuns is about TrafficSplits: nothing else is copied into a ServiceProfile.
func adaptorRuns(s View) (Status, string) {
	a := s.Facts.Adaptor
	name := "Deployment " + untrusted.Safe(a.Name)
	if a.Namespace != "" {
		name = "Deployment " + untrusted.Safe(a.Namespace) + "/" + untrusted.Safe(a.Name)
	}
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split that it would copy"
	case !isTrafficSplit(s):
		return OK, "a " + s.Split.Kind + " needs no adaptor"
	case s.Split.Profile.State == law.ProfileNotServed:
		return OK, "this cluster has no ServiceProfiles that one would write"
	case a.Sight == law.Absent:
		return Failed, "there is no " + name + ": nothing copies TrafficSplits into ServiceProfiles"
	case a.Sight == law.Unread:
		return Unknown, name + " could not be read" + because(a.Why)
	case a.Sight == "":
		return Unknown, "the SMI adaptor was not looked for"
	case !a.Available:
		return Failed, name + " has no available replica: changes of the TrafficSplit do not reach the proxies"
	}
	return OK, name + " is available"
}

func adaptorHint(s View) string {
	a := s.Facts.Adaptor
	switch a.Sight {
	case law.Absent:
		return "install linkerd-smi, or move to an HTTPRoute, which needs none: splitbench convert ts/" + word(s.Split.Name) + " -n " + word(s.Split.Namespace)
	case law.Seen:
		return "see why: " + kubectl(s, a.Namespace, "describe", "deployment", a.Name)
	case law.Unread:
		if a.Namespace == "" {
			return "look for it as somebody who may see all namespaces: " +
				kubectl(s, "", "get", "deployments", "-A", "--field-selector", "metadata.name="+a.Name)
		}
		return "ask for the verb get on deployments: " + kubectl(s, a.Namespace, "auth", "can-i", "get", "deployments.apps")
	}
	return ""
}

// routeAgrees is profileAgrees for a split that proxies read themselves.
func routeAgrees(s View) (Status, string) {
	switch {
	case s.Law.Unread != "":
		return Unknown, "what proxies obey is not certain: " + untrusted.Safe(s.Law.Unread)
	case !s.Law.Rules(s.Split):
		return Failed, fmt.Sprintf("proxies do not follow %s, they follow %s", splitName(s), follows(s))
	case s.Split.Differs:
		return Failed, fmt.Sprintf("proxies follow %s, the split says %s", s.Split.Effective.String(), declared(s))
	}
	return OK, "proxies follow " + splitName(s) + " itself"
}

// routeRules is about routes of the Gateway API: that they are in force, and that one of their rules is the request's.
func routeRules(s View) Finding {
	switch {
	case !s.Split.Found:
		return about(aboutSplit, Unknown, "there is no split to follow")
	case !law.IsRoute(law.Path(s.Split.Kind)):
		return about(aboutSplit, OK, "a "+s.Split.Kind+" is no route of the Gateway API")
	}
	for _, shadow := range s.Law.Shadowed {
		if o := shadow.Object; o.Kind == s.Split.Kind && o.Namespace == s.Split.Namespace && o.Name == s.Split.Name {
			return about(aboutSplit, Failed, fmt.Sprintf("%s is not followed: %s", o, untrusted.Safe(shadow.Why)))
		}
	}
	switch {
	case !s.Law.Rules(s.Split):
		return about(aboutSplit, Failed, splitName(s)+" is not followed; proxies follow "+follows(s))
	case s.Law.Problem != "":
		return about(aboutSplit, Failed, untrusted.Safe(s.Law.Problem))
	}
	if n := s.Probed.count(func(a Answer) bool { return a.Status == 404 && strings.Contains(a.proxyError(), "no route") }); n > 0 {
		return about(aboutSplit, Failed, fmt.Sprintf("%d of %d probes got 404 (no route) from the client's own proxy", n, len(s.Probed.Root)))
	}
	f := newFindings()
	for _, b := range s.Law.Backends {
		if b.Problem != "" && b.Weight > 0 {
			f.add(Failed, fmt.Sprintf("backend %s: %s", untrusted.Safe(b.Name), untrusted.Safe(b.Problem)), aboutBackend(b.Name))
		}
	}
	rule := ""
	if s.Law.Rule != "" {
		rule = ", " + s.Law.Rule
	}
	return f.seen(splitName(s) + rule + " fits the request")
}

func routeHint(s View) string {
	if !s.Split.Found {
		return ""
	}
	return "see its status and rules: " + kubectl(s, s.Split.Namespace, "get", strings.ToLower(s.Split.Kind), s.Split.Name, "-o", "yaml")
}

func undriven(s View) (Status, string) {
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split that somebody could drive"
	case len(s.Split.Drivers) > 0:
		return Warning, splitName(s) + " is written by " + strings.Join(s.Split.Drivers, "; ")
	}
	return OK, "no program that is known to drive weights has written " + splitName(s)
}
