package report

// Law is which object rules for the requests, by which of its rules, and how a backend is drawn if it is obeyed.
type Law struct {
	Provider  string      `json:"provider"` // linkerd | istio | traefik
	Path      string      `json:"path"`     // ServiceProfile | TrafficSplit | HTTPRoute | ... | default
	Rule      string      `json:"rule,omitempty"`
	Probe     string      `json:"probe"`     // the request that it was asked for
	NullModel string      `json:"nullModel"` // random-per-request | random-per-connection | weighted-round-robin | sticky
	Unit      string      `json:"unit"`      // what is drawn: request | connection
	Why       string      `json:"why,omitempty"`
	Objects   []LawObject `json:"objects"` // that say so, the ruling one first
	// that say something for the same root Service, and why they do not rule
	NotObeyed []LawObject  `json:"notObeyed"`
	NotRead   string       `json:"notRead,omitempty"` // what could not be read and might rule instead
	Backends  []LawBackend `json:"backends"`          // probabilities of one draw
}

// LawObject is an object in the version that was read.
type LawObject struct {
	APIVersion      string `json:"objectApiVersion"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation"`
	Why             string `json:"why,omitempty"` // why it does not rule
}

// LawBackend is one backend with the probability of one draw.
type LawBackend struct {
	Name        string  `json:"name"`
	Weight      int64   `json:"weight"`
	Probability float64 `json:"probability"`
	Problem     string  `json:"problem,omitempty"`
}
