package preflight

import "maps"

// Explanation is what can be said of a check without a cluster.
type Explanation struct {
	Looks  string // which objects it looks at, and what it asks the pod with --probe
	Cause  string // what is wrong when it is not green, and what follows
	Remedy string // what to do about it, with the command in its general form
}

// Explain is the explanation of a check, with its name and severity; false where there is no such check.
func Explain(id string) (Check, bool) {
	for _, c := range Checks() {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// explanations are the words for every check. What they state of Linkerd is of its proxy and control plane as of 2026; each was
// read in their code or documents.
func explanations() map[string]Explanation {
	out := map[string]Explanation{}
	for _, group := range []map[string]Explanation{explainSplit(), explainClient(), explainBackends(), explainClusters()} {
		maps.Copy(out, group)
	}
	return out
}
