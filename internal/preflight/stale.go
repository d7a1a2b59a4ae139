package preflight

import (
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// followsWhatIsThere is notStale with all that it is about: the client's proxy and the root's address. What the proxy's counters
// show it to do wrong is not explained by what the objects say of the split; that it could not be seen is.
func followsWhatIsThere(s View) Finding {
	status, seen := notStale(s)
	f := about(aboutSource, status, seen)
	for i := range f.items {
		f.items[i].tags = append(f.items[i].tags, aboutRoot)
		if status != Failed {
			f.items[i].tags = append(f.items[i].tags, aboutSplit)
		}
	}
	return f
}

// notStale is about the trap that the walkthrough itself steps into. A proxy decides whether a Service's traffic follows the
// profile or the routes when the Service is first dialled, and keeps to that for as long as it is dialled at least every five
// seconds. A TrafficSplit that is created later is then ignored.
//
// The proxy's own counters tell (--probe). Without them only times can: a profile that was last written before the proxy started
// cannot have been missed.
func notStale(s View) (Status, string) {
	p := s.Source
	switch {
	case s.Through == nil && p.Name == "":
		return Unknown, "no source pod was named"
	case s.Through == nil && !p.Meshed:
		return Unknown, "pod " + untrusted.Safe(p.Name) + " has no proxy"
	case s.Through != nil:
		return Unknown, "which path the proxies behind Service " + untrusted.Safe(s.Through.Service.Name) + " follow is not asked from here"
	case s.Probed != nil && s.Probed.Path.Known:
		return s.Probed.Path.judge(s)
	}
	lacked := "the counters of the proxy of pod " + untrusted.Safe(p.Name)
	if s.Probed != nil {
		lacked += " (" + orUnknown(s.Probed.Path.Why) + ")"
	} else {
		lacked += " (--probe reads them)"
	}
	profile := s.Split.Profile
	if s.Law.Path != law.PathServiceProfile || profile.State != law.ProfileFound || p.ProxyStartedAt.IsZero() {
		return Unknown, "which path the proxy follows could not be seen; what is lacking: " + lacked
	}
	started := p.ProxyStartedAt.Format(time.RFC3339)
	switch {
	case profile.Created.After(p.ProxyStartedAt):
		return Warning, fmt.Sprintf("ServiceProfile %s was created at %s, after the proxy of pod %s started (%s): if the pod dials %s all the time, its proxy ignores the split; what is lacking: %s",
			untrusted.Safe(profile.Name), profile.Created.Format(time.RFC3339), untrusted.Safe(p.Name), started, untrusted.Safe(s.Split.Root), lacked)
	case !profile.LastWritten.IsZero() && !profile.LastWritten.After(p.ProxyStartedAt):
		return OK, fmt.Sprintf("the proxy of pod %s started at %s, after ServiceProfile %s was last written", untrusted.Safe(p.Name), started, untrusted.Safe(profile.Name))
	}
	return Unknown, fmt.Sprintf("ServiceProfile %s is older than the proxy of pod %s (%s) and was written since; whether it split traffic then cannot be seen; what is lacking: %s",
		untrusted.Safe(profile.Name), untrusted.Safe(p.Name), started, lacked)
}
