package preflight

import (
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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
