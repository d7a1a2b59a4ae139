package preflight

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/witness"
)

// counters are the proxy's own, read before and after the probes of the root, and again after those of the backends.
type counters struct {
	target witness.Target
	pages  []Answer
	at     []time.Time
}

func newCounters(v View) *counters { return &counters{target: witness.TargetOf(v.Snapshot)} }

// read fetches the lines of the proxy's metrics that say anything of the split.
func (c *counters) read(ctx context.Context, p Prober) error {
	a, err := p.Fetch(ctx, Get{
		URL: witness.LinkerdURL, MaxBytes: metricsBytes, Keep: c.target.Keep(witness.Linkerd),
	})
	c.pages, c.at = append(c.pages, a), append(c.at, time.Now())
	return err
}

// path says which path the requests between the first two reads took. Requests of other containers of the pod are
// counted too: they share the proxy, and what it has cached.
func (c *counters) path() PathSeen {
	if len(c.pages) < 2 {
		return PathSeen{Why: "they were not read"}
	}
	before, err1 := c.parse(c.pages[0])
	after, err2 := c.parse(c.pages[1])
	if err := cmp.Or(err1, err2); err != nil {
		return PathSeen{Why: untrusted.Safe(err.Error())}
	}
	d, err := witness.Compare(before, after, c.target, c.at[1].Sub(c.at[0]))
	switch {
	case err != nil:
		return PathSeen{Why: untrusted.Safe(err.Error())}
	case d.Restarted != "":
		return PathSeen{Why: "the proxy was restarted: " + untrusted.Safe(d.Restarted)}
	case d.PerConnection():
		return PathSeen{Known: true, PerConnection: true, Path: string(d.Path), Draws: c.draws(d.Streams)}
	case d.Path == "":
		return PathSeen{Why: "no counter of the root's requests moved", Retries: d.Retries}
	}
	return PathSeen{
		Known: true, Path: string(d.Path), Requests: d.Paths[d.Path], Retries: d.Retries, Draws: c.draws(d.Draws),
	}
}

// parse reads a page that was fetched whole.
func (c *counters) parse(a Answer) (witness.Page, error) {
	switch {
	case a.Status != 200:
		return witness.Page{}, errors.New(string("they could not be read: " + describe(a)))
	case a.Truncated:
		return witness.Page{}, errors.New("the page is too long")
	}
	return witness.Parse(bytes.NewReader(a.Body), witness.Linkerd, c.target)
}

// draws names whose they are, nil where no counter tells.
func (c *counters) draws(byLeaf []int64) map[string]int64 {
	if byLeaf == nil {
		return nil
	}
	out := map[string]int64{}
	for i, l := range c.target.Leaves {
		out[l.Name] = byLeaf[i]
	}
	return out
}

// tls is how the proxy's requests to the split's Services in each target cluster were secured, "true" only where all
// of them were. Only counters that moved between the first and the last read count: a series lives on for ten minutes
// after its last request, so one from before a repair is still there. A cluster to which no counter moved is left out.
func (c *counters) tls() map[string]string {
	if len(c.pages) < 2 {
		return nil
	}
	first, err1 := c.parse(c.pages[0])
	last, err2 := c.parse(c.pages[len(c.pages)-1])
	if err1 != nil || err2 != nil {
		return nil
	}
	return witness.Secured(first, last)
}

// toldAgrees compares what the client's proxy is told, or holds, with what the objects say. Other weights of the object
// that rules are the law that is judged by; where another object rules, nothing is judged by the one that was named.
func toldAgrees(s View) Finding {
	f := newFindings()
	on := f.about(aboutSplit)
	t := s.Told
	who := string(say("pod %s/%s tells proxies", t.Namespace, t.Pod))
	if t.Own {
		who = string(say("the proxy of pod %s/%s holds", t.Namespace, t.Pod))
	}
	switch {
	case t.Why != "":
		on.tags = []string{aboutAccess, aboutRule("pods")}
		status := Unknown
		if t.Required {
			status = Failed
		}
		on.add(status, "what proxies are told is not known: %s; the law is worked out from the objects", t.Why)
	case t.WorkedOut == nil:
		on.add(OK, "%s exactly what the objects say", who)
	case s.Law.Problem != "":
		on.add(Failed, "%s no usable split: %s; the objects say %s", who, s.Law.Problem,
			string(lawText(*t.WorkedOut)))
	case s.Split.Found && !s.Law.Rules(s.Split):
		on.add(Failed, "%s %s, and that is obeyed; the objects say %s, so %s does not rule", who,
			string(lawText(s.Law)), string(lawText(*t.WorkedOut)), string(splitName(s)))
	default:
		on.add(Warning, "%s %s, and the split is judged by that; the objects say %s", who,
			string(lawText(s.Law)), string(lawText(*t.WorkedOut)))
	}
	return f.seen("")
}

// lawText is a law in a few words.
func lawText(l law.Law) shown {
	if l.Problem != "" {
		return say("none (%s)", l.Problem)
	}
	if len(l.Objects) == 0 {
		return say("%s", l.Weights())
	}
	return say("%s by %s", l.Weights(), l.Objects[0])
}

func toldHint(s View) string {
	t := s.Told
	if t.Why != "" {
		return "do not ask, --law objects, or get the rules that asking needs: " + grant(s, "")
	}
	if s.Source.RunsIstio() {
		return "see whether the configuration reaches the proxy: istioctl proxy-status " + word(s.Source.Name) + "." +
			word(s.Source.Namespace)
	}
	return "see what its log says of the object: " +
		kubectl(s, t.Namespace, "logs", untrusted.Safe(t.Pod), "--all-containers", "--tail", "50")
}

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
