package law

// Facts are what checks ask besides the split. Each says whether it was seen: what could not be read is not absent.
type Facts struct {
	Adaptor Adaptor `json:"adaptor"` // what copies TrafficSplits into ServiceProfiles
	// what would take a connection's cluster IP away before the proxy sees it
	SocketLB   SocketLB       `json:"socketLB"`
	Networks   Networks       `json:"networks"`   // addresses that proxies ask the control plane about
	Anchors    []TrustAnchors `json:"anchors"`    // of the client's cluster, then of each other one that a mirror leads to
	Namespaces []Namespace    `json:"namespaces"` // of the split and of the client
	Rollouts   []Rollout      `json:"rollouts"`   // under way behind the backends
	Links      Sight          `json:"links,omitempty"`
}

// Sight says whether something was seen. The empty value is that nobody looked.
type Sight string

// What a look came to.
const (
	Seen   Sight = "seen"
	Absent Sight = "absent" // it was looked for and is not there
	Unread Sight = "unread" // it could not be read
)

// Adaptor is the Deployment of Linkerd's SMI adaptor.
type Adaptor struct {
	Sight     Sight  `json:"sight"`
	Why       string `json:"why"`       // why it could not be read
	Namespace string `json:"namespace"` // "" where it is not known
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Idle      bool   `json:"idle,omitempty"` // it is scaled to nothing
}

// Controller is the Deployment of the service mirror that follows a Link.
type Controller struct {
	Sight     Sight  `json:"sight"`
	Why       string `json:"why,omitempty"`
	Name      string `json:"name,omitempty"` // namespace/name
	Available bool   `json:"available,omitempty"`
	Idle      bool   `json:"idle,omitempty"` // it is scaled to nothing
}

// SocketLB is what the cluster's network plugin says of load balancing at connect().
type SocketLB struct {
	Sight    Sight  `json:"sight"`
	Why      string `json:"why"`
	Object   string `json:"object"`   // what says so, e.g. "ConfigMap kube-system/cilium-config"
	InPods   bool   `json:"inPods"`   // connections of pods lose their cluster IP before the proxy sees them
	Settings string `json:"settings"` // those that say so
}

// Networks are the networks whose addresses proxies look up: others are passed on as they are.
type Networks struct {
	Sight  Sight    `json:"sight"`
	Why    string   `json:"why"`
	Object string   `json:"object"` // what says so: the proxy's own environment, or the control plane's values
	CIDRs  []string `json:"cidrs"`
}

// TrustAnchors are the certificates that a cluster's mesh trusts, by SHA-256 of their DER form.
type TrustAnchors struct {
	Cluster      string   `json:"cluster"` // role, as Cluster has it
	Sight        Sight    `json:"sight"`
	Why          string   `json:"why"`
	Namespace    string   `json:"namespace"`
	Fingerprints []string `json:"fingerprints"` // sorted, each once
}

// Namespace is what a namespace tells the mesh about its pods.
type Namespace struct {
	Sight         Sight  `json:"sight"`
	Why           string `json:"why"`
	Name          string `json:"name"`
	OpaquePorts   string `json:"opaquePorts"`
	SkipOutbound  string `json:"skipOutbound"`
	SkipSubnets   string `json:"skipSubnets"`
	InboundPolicy string `json:"inboundPolicy"`
}

// Rollout is a Deployment behind a backend that is not at rest.
type Rollout struct {
	Cluster    string `json:"cluster"` // "": the client's
	Deployment string `json:"deployment"`
	State      string `json:"state"` // e.g. "1 of 2 replicas updated"
}

// PodSet is what the pods behind a Service have in common, of the first page of them.
type PodSet struct {
	Sight        Sight    `json:"sight"`
	Why          string   `json:"why"`
	Looked       int      `json:"looked"`   // pods looked at
	More         bool     `json:"more"`     // there are more than were looked at
	Unmeshed     []string `json:"unmeshed"` // names of those without a proxy, at most ten
	UnmeshedPods int      `json:"unmeshedPods"`
	OpaquePorts  []string `json:"opaquePorts"` // values of their annotation
	// default policies of their proxies, each once; "" where a proxy does not say
	InboundPolicy []string   `json:"inboundPolicy"`
	Servers       []ServerOn `json:"servers"` // policy Servers of the port that the split sends to
	// why Servers or what authorises at them could not all be read; "": they were
	ServersWhy string `json:"serversWhy,omitempty"`
	// which pods they were and what runs in them, in the API server's order, at most maxBuilt
	Built []Built `json:"built"`
}

// Built is one pod behind a Service and the images that run in it, for the record: nothing is judged by it.
type Built struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
	// by container, as the node says, mostly NAME@sha256:...; the proxy is not among them
	ImageIDs     map[string]string `json:"imageIDs"`
	ProxyImageID string            `json:"proxyImageID"` // "": no proxy, or its node has not said yet
}

// ServerOn is a policy Server that covers the port of some pod behind a Service.
type ServerOn struct {
	Name           string   `json:"name"` // namespace/name
	AccessPolicy   string   `json:"accessPolicy"`
	ProxyProtocol  string   `json:"proxyProtocol"`
	Authorizations []string `json:"authorizations"` // objects that let somebody in
}

// RemoteSplit is a split of the same Service in the cluster behind a mirror: the gateway applies it again.
type RemoteSplit struct {
	Object  string   `json:"object"` // e.g. "ServiceProfile test/podinfo.test.svc.cluster.local"
	Weights Weights  `json:"weights"`
	Back    []string `json:"back"` // backends of it that are mirrors, which may lead back
}

// Of is the namespace's facts, and whether there are any.
func (f Facts) Of(namespace string) (Namespace, bool) {
	n := find(f.Namespaces, func(n *Namespace) bool { return n.Name == namespace })
	return orElse(n, Namespace{}), n != nil
}

// MirrorStatus is what a Link says of one Service that it mirrors, or does not.
type MirrorStatus struct {
	Remote   string `json:"remote"`   // namespace/name in the target cluster
	Local    string `json:"local"`    // name of the mirror, "" where there is none
	Mirrored bool   `json:"mirrored"` // its condition of that name is True
	Reason   string `json:"reason"`   // e.g. "MissingNamespace"
	Message  string `json:"message"`
}

// StatusOf is what the Link says of a remote Service, nil where it says nothing.
func (l Link) StatusOf(remote string) *MirrorStatus {
	return find(l.Status, func(s *MirrorStatus) bool { return s.Remote == remote })
}
