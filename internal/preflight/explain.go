package preflight

// Explanation is what can be said of a check without a cluster.
type Explanation struct {
	Looks  string // which objects it looks at, and what it asks the pod with --probe
	Cause  string // what is wrong when it is not green, and what follows
	Remedy string // what to do about it
}
