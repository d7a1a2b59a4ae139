package law

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Runners are pods of a Job of our own that stand in for a workload's, and what the API server said of them beforehand.
type Runners struct {
	Workload string `json:"workload"` // whose place they take, as --from or -l names it
	Pods     int    `json:"pods"`
	Image    string `json:"image"`
	Account  string `json:"serviceAccount"`
	Job      string `json:"job,omitempty"` // that was made; "": none yet

	// Sight is whether the API server was asked, without making anything, whether it would take such a pod.
	Sight     Sight      `json:"sight"`
	Why       string     `json:"why,omitempty"`       // why it was not asked
	Refused   string     `json:"refused,omitempty"`   // its words where it would not take one
	Meshed    bool       `json:"meshed"`              // the pod would get a proxy
	Shortages []Shortage `json:"shortages,omitempty"` // quotas that do not leave room for all of them
}

// Shortage is a resource of which a ResourceQuota does not leave enough.
type Shortage struct {
	Quota    string `json:"quota"`
	Resource string `json:"resource"`
	Hard     string `json:"hard"`
	Used     string `json:"used"`
	Each     string `json:"each"` // what one pod takes
	Room     int    `json:"room"` // pods that it leaves room for
}

// String is the shortage as a part of a sentence.
func (s Shortage) String() string {
	return fmt.Sprintf("ResourceQuota %s leaves room for %d of them (%s: %s of %s are used, each takes %s)",
		s.Quota, s.Room, s.Resource, s.Used, s.Hard, s.Each)
}

// What injectors write into a pod that they have changed: a new pod must not bring it along.
//
//nolint:gochecknoglobals // a table that never changes
var injected = []string{
	"linkerd.io/created-by", "linkerd.io/proxy-version", "linkerd.io/trust-root-sha256", "sidecar.istio.io/status",
	"istio.io/rev-status",
}

// ForInjectors are the annotations of a pod by which Linkerd and Istio decide whether and how it gets a proxy.
func ForInjectors(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(name, _ string) bool {
		domain, _, _ := strings.Cut(name, "/")
		mesh := domain == "linkerd.io" || strings.HasSuffix(domain, ".linkerd.io") ||
			domain == "istio.io" || strings.HasSuffix(domain, ".istio.io")
		return !mesh || slices.Contains(injected, name)
	})
	return out
}

// LabelsForInjectors are the labels of a pod by which Istio decides that. No Service of an application selects by them.
func LabelsForInjectors(labels map[string]string) map[string]string {
	out := maps.Clone(labels)
	maps.DeleteFunc(out, func(name, _ string) bool { return name != "sidecar.istio.io/inject" && name != "istio.io/rev" })
	return out
}
