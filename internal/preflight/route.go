package preflight

import (
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// adaptorRuns is about TrafficSplits: nothing else is copied into a ServiceProfile.
func adaptorRuns(s View) (Status, shown) {
	a := s.Facts.Adaptor
	name := say("Deployment %s", a.Name)
	if a.Namespace != "" {
		name = say("Deployment %s/%s", a.Namespace, a.Name)
	}
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split that it would copy"
	case !isTrafficSplit(s):
		return OK, say("a %s needs no adaptor", s.Split.Kind)
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
	switch {
	case a.Sight == law.Absent:
		return "install linkerd-smi, or move to an HTTPRoute, which needs none: splitbench convert ts/" +
			word(s.Split.Name) + " -n " + word(s.Split.Namespace)
	case a.Sight == law.Seen && a.Idle:
		return "start it: " + kubectl(s, a.Namespace, "scale", "deployment", a.Name, "--replicas=1")
	case a.Sight == law.Seen && a.Available:
		return "" // whatever is wrong, it runs
	case a.Sight == law.Seen:
		return "see why: " + kubectl(s, a.Namespace, "describe", "deployment", a.Name)
	case a.Sight == law.Unread && a.Namespace == "":
		return "look for it as somebody who may see all namespaces: " +
			kubectl(s, "", "get", "deployments", "-A", "--field-selector", "metadata.name="+a.Name)
	case a.Sight == law.Unread:
		return "ask for the verb get on deployments: " + kubectl(s, a.Namespace, "auth", "can-i", "get", "deployments.apps")
	}
	return ""
}

// routeAgrees is profileAgrees for a split that proxies read themselves.
func routeAgrees(s View) (Status, shown) {
	switch {
	case s.Law.Unread != "":
		return Unknown, say("what proxies obey is not certain: %s", s.Law.Unread)
	case !s.Law.Rules(s.Split):
		return Failed, say("proxies follow %s; they do not follow %s", follows(s), splitName(s))
	case s.Split.Differs:
		return Failed, say("proxies follow %s, the split says %s", s.Split.Effective, declared(s))
	}
	return OK, "proxies follow " + splitName(s) + " itself"
}

// routeRules is about splits with rules: that they are in force, that one of their rules is the request's, and that all
// that it sends to can be sent to. A failure that is injected is meant, and only told.
func routeRules(s View) Finding {
	status, seen := routeInForce(s)
	if status != OK || isTrafficSplit(s) {
		return about(aboutSplit, status, seen)
	}
	f := newFindings()
	for _, b := range s.Law.Backends {
		switch {
		case b.ProxyStatus != 0 && b.Service == "" && b.Weight > 0:
			f.about(aboutSplit).add(Warning, "%s", b.Problem)
		case b.Problem != "" && b.Weight > 0:
			f.about(aboutBackend(b.Name)).add(Failed, "backend %s: %s", b.Name, b.Problem)
		}
	}
	return f.seen(seen)
}

// unfit reports that no rule of the split fits the request.
func unfit(s View) bool { return s.Law.Unfit && !isTrafficSplit(s) }

func routeInForce(s View) (Status, shown) {
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split to follow"
	case unfit(s):
		return Failed, say("%s", s.Law.Problem)
	case isTrafficSplit(s):
		return OK, "a TrafficSplit has no rules"
	}
	for _, shadow := range s.Law.Shadowed {
		if shadow.Object.Is(s.Split.ObjectRef) {
			return Failed, say("proxies follow %s; %s is not followed: %s", follows(s), shadow.Object, shadow.Why)
		}
	}
	noRoute := s.Probed.count(func(a Answer) bool {
		return a.Status == 404 && strings.Contains(a.proxyError(), "no route")
	})
	switch {
	case !s.Law.Rules(s.Split):
		return Failed, say("proxies follow %s; they do not follow %s", follows(s), splitName(s))
	case noRoute > 0:
		return Failed, say("%d of %d probes got 404 (no route) from the client's own proxy", noRoute, len(s.Probed.Root))
	case s.Law.Rule != "":
		return OK, say("%s, %s fits %s", splitName(s), s.Law.Rule, s.Law.Probe)
	}
	return OK, say("%s fits %s", splitName(s), s.Law.Probe)
}

func routeHint(s View) string {
	if !s.Split.Found {
		return ""
	}
	if unfit(s) {
		return "request what one of its rules fits, with --url, or give it such a rule: " + editSplit(s)
	}
	return "see its status and rules: " +
		kubectl(s, s.Split.Namespace, "get", strings.ToLower(s.Split.Kind), s.Split.Name, "-o", "yaml")
}

func undriven(s View) (Status, shown) {
	switch {
	case !s.Split.Found:
		return Unknown, "there is no split that somebody could drive"
	case len(s.Split.Drivers) > 0:
		return Warning, splitName(s) + " is written by " + shown(strings.Join(s.Split.Drivers, "; "))
	}
	return OK, "no program that is known to drive weights has written " + splitName(s)
}
