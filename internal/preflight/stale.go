package preflight

import (
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// followsWhatIsThere is notStale with all that it is about: the client's proxy and the root's address. What the proxy's
// counters show it to do wrong is not explained by what the objects say of the split; that it could not be seen is.
func followsWhatIsThere(s View) Finding {
	status, seen := notStale(s)
	f := newFindings()
	on := f.about(aboutSource, aboutRoot)
	if status != Failed {
		on.tags = append(on.tags, aboutSplit)
	}
	on.add(status, "%s", seen)
	return f.seen("")
}

// notStale is about a trap that the walkthrough itself steps into. A proxy decides whether a Service's traffic follows
// the profile or the routes when the Service is first dialled, and keeps to that for as long as it is dialled at least
// every five seconds. A TrafficSplit that is created later is then ignored.
//
// The proxy's own counters tell (--probe). Without them only times can: a profile that was last written before the
// proxy started cannot have been missed.
func notStale(s View) (Status, shown) {
	p := s.Source
	lacked := say("the counters of the proxy of pod %s", p.Name)
	switch {
	case s.Through != nil:
		return Unknown, say("which path the proxies behind Service %s follow is not asked from here", s.Through.Service.Name)
	case p.Name == "":
		return Unknown, "no source pod was named"
	case !p.Meshed:
		return Unknown, say("pod %s has no proxy", p.Name)
	case s.Probed == nil:
		lacked += " (--probe reads them)"
	case s.Probed.Path.Known:
		return s.Probed.Path.judge(s)
	default:
		lacked += " (" + orUnknown(s.Probed.Path.Why) + ")"
	}
	profile, started := s.Split.Profile, p.ProxyStartedAt.Format(time.RFC3339)
	switch {
	case s.Law.Path != law.PathServiceProfile || profile.State != law.ProfileFound || p.ProxyStartedAt.IsZero():
		return Unknown, "which path the proxy follows could not be seen; what is lacking: " + lacked
	case profile.Created.After(p.ProxyStartedAt):
		return Warning, say("ServiceProfile %s was created at %s, after the proxy of pod %s started (%s): "+
			"if the pod dials %s all the time, its proxy ignores the split; what is lacking: %s",
			profile.Name, profile.Created.Format(time.RFC3339), p.Name, started, s.Split.Root, lacked)
	case !profile.LastWritten.IsZero() && !profile.LastWritten.After(p.ProxyStartedAt):
		return OK, say("the proxy of pod %s started at %s, after ServiceProfile %s was last written",
			p.Name, started, profile.Name)
	}
	return Unknown, say("ServiceProfile %s is older than the proxy of pod %s (%s) and was written since; "+
		"whether it split traffic then cannot be seen; what is lacking: %s", profile.Name, p.Name, started, lacked)
}

// judge compares the path that the counters tell with the one that the objects say.
func (p PathSeen) judge(s View) (Status, shown) {
	pod, want := say("the proxy of pod %s", s.Source.Name), s.Law.Path
	untold := isTrafficSplit(s) && s.Split.Profile.State != law.ProfileNotServed && s.Law.Path != law.PathServiceProfile
	switch {
	case untold || !isTrafficSplit(s) && s.Split.Found && !s.Law.Rules(s.Split):
		return Unknown, say("%s counted requests on the path %s; the objects put another law in force than the split's",
			pod, p.Path)
	case p.PerConnection:
		return OK, pod + " does not look into connections: the split is drawn for each of them"
	case p.Path == string(want):
		return OK, say("%s counted %d requests on the path of a %s, which is what rules", pod, p.Requests, want)
	case want == law.PathTrafficSplit || want == "":
		return Unknown, say("%s counted %d requests on the path %s; which it should be is not known", pod, p.Requests, p.Path)
	}
	return Failed, say("%s counted %d requests on the path %s, though %s rules: it still uses what it looked up before",
		pod, p.Requests, p.Path, follows(s))
}

// Checks that others than this package know: which objects the client's proxy follows, and whether proxies are told the
// weights of the split.
const (
	pathCheck = "SB001"
	ToldCheck = "SB004"
)

// Answered are results in which that check has what a second witness counted afterwards. A failure stands.
func Answered(results []Result, status Status, seen, hint string) []Result {
	out := slices.Clone(results)
	for i := range out {
		if r := &out[i]; r.ID == pathCheck && r.Status != Failed {
			r.Status, r.Seen, r.Hint, r.CausedBy = status, seen, hint, ""
		}
	}
	return out
}
