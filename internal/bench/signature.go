package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// SignatureError says that backends cannot be told apart. It comes before the first counted request.
type SignatureError struct {
	Why   string
	Proxy bool // the client's proxy has counters that could be asked instead
}

func (e *SignatureError) Error() string {
	text := "tell backends apart: " + e.Why + "; say how with --classify BACKEND=json:/FIELD=VALUE for each backend " +
		"(also proto:, header: and regexp:)"
	if e.Proxy {
		text += ", or have the client's proxy count with --count-by proxy"
	}
	return text
}

// rules turns the probes into rules, two kinds where there are two: names of pods, which are proof, and a field that
// each backend fills with a text of its own, which also names pods that start during the run.
func (l *learner) rules() ([]attack.Rule, map[string]string, error) {
	if err := l.sharedPods(); err != nil {
		return nil, nil, err
	}
	pods := l.podPointer()
	if err := l.identify(pods); err != nil {
		return nil, nil, err
	}
	var rules []attack.Rule
	signatures := make([][]string, len(l.snap.Backends))
	add := func(backend int, pointer, says string, texts ...string) {
		rule := ruleAt(pointer)
		rule.Backend, rule.Values = backend, texts
		rules = append(rules, rule)
		signatures[backend] = append(signatures[backend], pointer+" is "+says)
	}
	if pods != "" {
		for i := range l.snap.Backends {
			if names := l.pods(i); len(names) > 0 {
				add(i, pods, fmt.Sprintf("one of its %d pods", len(names)), names...)
			}
		}
	}
	if pointer, texts := l.textPointer(pods); pointer != "" {
		for i := range l.snap.Backends {
			if text, ok := texts[i]; ok {
				add(i, pointer, fmt.Sprintf("%q", untrusted.Safe(text)), text)
			}
		}
	}
	out := map[string]string{}
	for i, b := range l.snap.Backends {
		switch {
		case len(signatures[i]) > 0:
			out[b.Name] = strings.Join(signatures[i], ", or ")
		case b.Weight == 0:
			// Nothing should come from it. What does is an answer of no known backend, and forbids a pass.
			out[b.Name] = "not known: weight 0, and no answer could be had"
		case b.ProxyStatus != 0:
			other := slices.IndexFunc(l.snap.Backends, func(o law.Backend) bool { return o.ProxyStatus == b.ProxyStatus })
			if other != i {
				return nil, nil, &SignatureError{Why: fmt.Sprintf("the client's proxy answers for %s and for %s with status %d",
					l.snap.Backends[other].Name, b.Name, b.ProxyStatus)}
			}
			out[b.Name] = fmt.Sprintf("status %d of an answer that names no backend", b.ProxyStatus)
		default:
			return nil, nil, l.unrecognised(i)
		}
	}
	return rules, out, nil
}

// sharedPods refuses backends of one cluster that the same pods serve: typically a root Service whose selector also
// picks the canary's. Two ports of one Service share its pods by their nature.
func (l *learner) sharedPods() error {
	owner := map[string]law.Backend{}
	for _, b := range l.snap.Backends {
		for _, pod := range b.PodNames() {
			key := clusterOf(b) + "/" + pod
			if o, taken := owner[key]; taken && o.Name != b.Name && !sameService(o, b) {
				return &SignatureError{Why: fmt.Sprintf("backends %s and %s share pod %s: fix the selector of one of the Services",
					o.Name, b.Name, untrusted.Safe(pod))}
			}
			owner[key] = b
		}
	}
	return nil
}

// sameService reports whether two backends are ports of one Service.
func sameService(a, b law.Backend) bool {
	return a.Service.Found && a.Port != b.Port && a.Service.UID == b.Service.UID && a.Subset == b.Subset
}

func clusterOf(b law.Backend) string {
	if b.Mirror == nil {
		return ""
	}
	return b.Mirror.Cluster
}

// owners says which backend each pod belongs to. Pods of a StatefulSet have the same names in every cluster, and then
// tell nothing.
func owners(backends []law.Backend) map[string]int {
	out := map[string]int{}
	for i, b := range backends {
		for _, pod := range b.PodNames() {
			if j, taken := out[pod]; taken && j != i {
				out[pod] = attack.Unattributed
			} else {
				out[pod] = i
			}
		}
	}
	return out
}

// pods are the names that tell this backend's answers from all others'.
func (l *learner) pods(i int) []string {
	var own []string
	for _, pod := range l.snap.Backends[i].PodNames() {
		if l.owners[pod] == i {
			own = append(own, pod)
		}
	}
	return own
}

// podOf is the backend that a pod belongs to, or attack.Unattributed.
func (l *learner) podOf(pod string) int {
	if i, ok := l.owners[pod]; ok {
		return i
	}
	return attack.Unattributed
}

// podPointer is the field that holds the pod's name in most answers, "" where none ever does.
func (l *learner) podPointer() string {
	hits := map[string]int{}
	for _, p := range l.probes {
		for pointer, text := range p.fields {
			if l.podOf(text) >= 0 {
				hits[pointer]++
			}
		}
	}
	if len(hits) == 0 {
		return ""
	}
	return slices.MaxFunc(placesOf(hits), func(a, b string) int { return hits[a] - hits[b] })
}

// identify names the backend of each answer of the root by its pod, and finds backends that lead elsewhere.
func (l *learner) identify(pods string) error {
	if pods == "" {
		return nil
	}
	for i, p := range l.probes {
		owner := l.podOf(p.fields[pods])
		switch {
		case owner < 0:
		case !p.direct:
			l.probes[i].backend = owner
		case owner != p.backend:
			asked := l.snap.Backends[p.backend].Name
			return fmt.Errorf("probe backend %s: pod %s of backend %s answered: Service %s leads to the wrong pods; "+
				"compare its endpoints with the gateway of the other cluster",
				asked, untrusted.Safe(p.fields[pods]), l.snap.Backends[owner].Name, asked)
		}
	}
	return nil
}

// textPointer finds a field in which every backend writes one text of its own. Answers of the root whose pod is not
// known may be the root backend's, but only if there is exactly one text that no backend asked directly has.
func (l *learner) textPointer(not string) (string, map[int]string) {
	if len(l.probes) == 0 {
		return "", nil
	}
	// message is where podinfo says where it runs; anything else that tells backends apart will do.
	pointers := append([]string{"/message"}, placesOf(l.probes[0].fields)...)
	for _, pointer := range pointers {
		if not != "" && strings.HasPrefix(pointer, inHeader) {
			break // pods' names are proof, beside which a header is none
		}
		if texts, ok := l.texts(pointer); ok && pointer != not {
			return pointer, texts
		}
	}
	return "", nil
}

// texts are what each backend writes in a field; false where that does not tell them apart.
func (l *learner) texts(pointer string) (map[int]string, bool) {
	texts := map[int]string{}
	var unknown []string
	for _, p := range l.probes {
		text := p.fields[pointer]
		if text == "" {
			return nil, false // not in every answer
		}
		if p.backend < 0 {
			unknown = append(unknown, text)
			continue
		}
		if have, ok := texts[p.backend]; ok && have != text {
			return nil, false // changes from answer to answer
		}
		texts[p.backend] = text
	}
	root := slices.IndexFunc(l.snap.Backends, func(b law.Backend) bool { return b.IsRoot })
	for _, text := range unknown {
		if slices.Contains(slices.Collect(maps.Values(texts)), text) {
			continue
		}
		if _, known := texts[root]; root < 0 || known {
			return nil, false
		}
		texts[root] = text
	}
	owner := map[string]int{}
	for i, text := range texts {
		if _, taken := owner[text]; taken {
			return nil, false
		}
		owner[text] = i
	}
	for i, b := range l.snap.Backends {
		if _, ok := texts[i]; !ok && b.Weight > 0 && b.ProxyStatus == 0 {
			return nil, false
		}
	}
	return texts, true
}

// unrecognised says what was seen in place of a backend's signature.
func (l *learner) unrecognised(i int) error {
	b := l.snap.Backends[i]
	asked, name := i, b.Name
	if b.IsRoot {
		asked, name = attack.Unattributed, "root "+name
	}
	if why := l.failed[asked]; why != "" {
		return &SignatureError{Why: fmt.Sprintf("%s gave no answer that could be recognised: %s", name, why)}
	}
	why := fmt.Sprintf("nothing in %d answers is known to be of backend %s alone", len(l.probes), b.Name)
	for j, o := range l.snap.Backends {
		if j != i && sameService(o, b) {
			why += fmt.Sprintf(" (%s is another port of the same Service: its pods answer for both)", o.Name)
		}
	}
	if !b.IsRoot && b.Mirror != nil && len(b.RemotePods) == 0 {
		why += fmt.Sprintf(" (the pods of cluster %s are not known: name its context with --remote-context)",
			untrusted.Safe(b.Mirror.Cluster))
	}
	return &SignatureError{Why: why}
}
