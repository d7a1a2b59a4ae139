package law

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// MaxPods is how many pods may send at once.
const MaxPods = 500

// Snapshot is everything the verdict rests on, as the API servers told it at one time. It is plain data; Discover fills
// it, nothing changes it afterwards.
type Snapshot struct {
	TakenAt  time.Time `json:"takenAt"`
	Split    Split     `json:"split"`
	Law      Law       `json:"law"`               // which of the objects rules, and by which distribution
	Told     *Told     `json:"told,omitempty"`    // what the control plane says of the law; nil: it was not asked
	Root     Service   `json:"root"`              // the Service that clients dial
	Backends []Backend `json:"backends"`          // in the order of Split.Effective
	Source   Pod       `json:"source"`            // the pod that sends the requests
	Others   []Pod     `json:"others,omitempty"`  // further pods that send, see Query.Pods
	Runners  *Runners  `json:"runners,omitempty"` // pods of our own that the source pods are, or would be; nil: none
	Through  *Through  `json:"through"`           // set where other pods than the source draw the backend
	Gateways []Gateway `json:"gateways"`          // one for each remote cluster that a mirror names
	Links    []Link    `json:"links"`
	Clusters []Cluster `json:"clusters"`
	// port of the root Service that the requests go to; 0: not known, the root Service was not found
	Port   int32    `json:"port"`
	Access []Access `json:"access"` // what the API server allows this user; empty where it would not say
	Facts  Facts    `json:"facts"`  // what checks ask besides
	Notes  []string `json:"notes"`  // what could not be seen, one sentence each; never a reason to pass
}

// Split is the object that declares the weights, and what proxies make of it.
type Split struct {
	ObjectRef            // whose Kind is a Path
	Found     bool       `json:"found"`
	Root      string     `json:"root"`     // name of the root Service
	Declared  []Declared `json:"declared"` // as the object says it
	// as the client's proxy obeys it, without weight-0 entries being dropped
	Effective Weights `json:"effective"`
	// object that Effective was read from, e.g. "ServiceProfile test/podinfo.test.svc.cluster.local"
	EffectiveFrom string    `json:"effectiveFrom"`
	Differs       bool      `json:"differs"`    // the object that proxies obey says other weights than the split
	LastWriter    string    `json:"lastWriter"` // managedFields manager that wrote it last
	LastWritten   time.Time `json:"lastWritten"`
	// programs that change the object by themselves, as its owners, labels and writers tell
	Drivers []string `json:"drivers"`
	YAML    []byte   `json:"yaml"` // the object as read, less managedFields, for the record

	Why     string   `json:"why"`     // why Found is false, e.g. that no version of the API is served
	Others  []string `json:"others"`  // the other splits of the namespace, as "ts/NAME", at most ten
	Rivals  []string `json:"rivals"`  // those of them that name the same root Service
	Matches bool     `json:"matches"` // the split has spec.matches, which the SMI adaptor of Linkerd ignores
	AnyKind bool     `json:"-"`       // it was not found, and might have been of any kind: only its name was given
	// every weight is zero: proxies then send everything to the root's own endpoints
	AllZero bool `json:"allZero"`
	// the first weight that cannot be used; Effective then lacks what it cannot say
	WeightErr *WeightError `json:"weightErr"`
	Profile   Profile      `json:"profile"`
}

// ProfileState says whether a ServiceProfile for the root Service was seen.
type ProfileState string

// The states of a ServiceProfile.
const (
	ProfileFound     ProfileState = "found"
	ProfileAbsent    ProfileState = "absent"     // the API is served, the object is not there
	ProfileNotServed ProfileState = "not served" // the API server knows no ServiceProfiles: no Linkerd here
	ProfileUnread    ProfileState = "unread"     // it could not be read
)

// Profile is the ServiceProfile of the root Service, which Linkerd's proxies obey in place of the split.
type Profile struct {
	State           ProfileState `json:"state"`
	Namespace       string       `json:"namespace"`
	Name            string       `json:"name"`
	UID             string       `json:"uid"`
	ResourceVersion string       `json:"resourceVersion"`
	// grows with every change of what it says, also with one that is taken back
	Generation int64     `json:"generation"`
	Created    time.Time `json:"created"`
	Overrides  int       `json:"overrides"` // number of dstOverrides
	// number of routes; with none and no live override proxies follow routes of the Gateway API
	Routes      int      `json:"routes"`
	Skip        bool     `json:"skip"`      // smi.linkerd.io/skip: the SMI adaptor leaves it alone
	Retryable   int      `json:"retryable"` // routes that are retried
	Timeouts    int      `json:"timeouts"`  // routes with a timeout
	OpaquePorts []string `json:"opaquePorts"`
	// profile of the root's own namespace that this one, of the client's namespace, hides
	Hides       string    `json:"hides"`
	LastWriter  string    `json:"lastWriter"`
	LastWritten time.Time `json:"lastWritten"`
}

// Declared is one backend as the split object writes it.
type Declared struct {
	Service string `json:"service"`
	Raw     string `json:"raw"` // weight as written, e.g. "500m", "50"
}

// Weight is the effective weight of one backend Service: an integer, only ratios matter.
type Weight struct {
	Service string `json:"service"`
	Weight  int64  `json:"weight"`
}

// Port is a Service port.
type Port struct {
	Name        string `json:"name"`
	Port        int32  `json:"port"`
	AppProtocol string `json:"appProtocol"`
}

// Service is what the client's cluster knows of a Service.
type Service struct {
	Namespace    string            `json:"namespace"`
	Name         string            `json:"name"`
	Found        bool              `json:"found"`
	UID          string            `json:"uid"`
	ClusterIP    string            `json:"clusterIP"`
	ClusterIPs   []string          `json:"clusterIPs,omitempty"` // all of them, where it has several
	Headless     bool              `json:"headless"`
	ExternalName string            `json:"externalName"`
	Selector     map[string]string `json:"selector"`
	Ports        []Port            `json:"ports"`
	OpaquePorts  string            `json:"opaquePorts"` // its annotation: ports that proxies do not look into
	// OpaquePortsSet tells that the annotation is there. One that is empty puts the namespace's and Linkerd's default out
	// of force.
	OpaquePortsSet bool              `json:"opaquePortsSet"`
	Settings       map[string]string `json:"settings"` // its annotations about retries, timeouts and circuit breaking
}

// IsAt reports whether the address is one of the Service's cluster IPs.
func (s Service) IsAt(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(append(s.ClusterIPs, s.ClusterIP), func(own string) bool {
		at, err := netip.ParseAddr(own)
		return err == nil && at == ip
	})
}

// PortOf is the Service's TCP port of that number, and whether it has it.
func (s Service) PortOf(port int32) (p Port, ok bool) {
	if p := find(s.Ports, func(p *Port) bool { return p.Port == port }); p != nil {
		return *p, true
	}
	return Port{}, false
}

// HasPort reports whether the Service has the TCP port.
func (s Service) HasPort(port int32) bool {
	_, ok := s.PortOf(port)
	return ok
}

// PortName is the name that endpoints bear for a port of the Service.
func (s Service) PortName(port int32) string {
	p, _ := s.PortOf(port)
	return p.Name
}

// Backend is one leaf of the split.
type Backend struct {
	Name   string `json:"name"`             // Service name in the client's cluster
	Weight int64  `json:"weight"`           // effective weight
	Subset string `json:"subset,omitempty"` // of the Service, as Istio's DestinationRules name it
	// by which the client's proxy answers for it itself, see Leaf
	ProxyStatus int `json:"proxyStatus,omitempty"`
	// the root Service itself is this backend: it cannot be dialled un-split
	IsRoot  bool    `json:"isRoot"`
	Service Service `json:"service"`
	Port    int32   `json:"port"` // port that proxies dial on this backend
	// set where the Service mirrors one of another cluster, or would if it were there
	Mirror    *Mirror    `json:"mirror"`
	Endpoints []Endpoint `json:"endpoints"` // as the client's cluster sees them; of a mirror: the gateway's addresses
	Pods      PodSet     `json:"pods"`      // what its pods have in common
	// names of the pods behind a mirror, from its own cluster; nil where that was not read
	RemotePods []string `json:"remotePods"`
	Unread     string   `json:"unread"` // why Endpoints could not be read; empty: they were
}

// IsProxy reports a party that no Service stands behind: a failure that the client's proxy injects.
func (b Backend) IsProxy() bool { return b.ProxyStatus != 0 && b.Service.Name == "" }

// PodNames are the names of the pods that can answer for this backend, each once, nil where they could not be read and
// where no pod does.
func (b Backend) PodNames() []string {
	switch {
	case b.Unread != "" || b.ProxyStatus != 0:
		return nil
	case b.Mirror != nil:
		return b.RemotePods
	}
	return podNames(b.Endpoints)
}

// podNames are the pods of endpoints, each once (dual-stack pods have two addresses), never nil.
func podNames(es []Endpoint) []string {
	names := []string{}
	seen := map[string]bool{}
	for _, e := range es {
		if e.Pod != "" && !seen[e.Pod] {
			seen[e.Pod] = true
			names = append(names, e.Pod)
		}
	}
	return names
}

// Ready counts the endpoints that may get traffic.
func (b Backend) Ready() int { return b.ReadyFor(Pod{}) }

// ReadyFor counts those of them that the proxy of a pod is given: one that listens on IPv4 alone belongs to a control
// plane that passes over addresses of IPv6 (linkerd2 edge-26.8.3, controller/api/destination/watcher).
func (b Backend) ReadyFor(p Pod) int {
	n := 0
	for _, e := range b.Endpoints {
		if e.Ready && !(p.IPv4Only && IsIPv6(e.Address)) {
			n++
		}
	}
	return n
}

// IsIPv6 reports an address of IPv6.
func IsIPv6(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Is6() && !ip.Is4In6()
}

// Endpoint is one address behind a Service.
type Endpoint struct {
	Address string `json:"address"`
	Port    int32  `json:"port"`
	Ready   bool   `json:"ready"`
	Pod     string `json:"pod"` // name of the pod, empty for a gateway's address
}

// Mirror is what the labels and annotations of a mirror Service say.
type Mirror struct {
	Cluster        string `json:"cluster"` // name of the target cluster, as the Link names it
	Remote         string `json:"remote"`  // Service in the target cluster: namespace/name
	Context        string `json:"context"` // kubeconfig context it was matched to; empty where none was given
	RemoteFound    bool   `json:"remoteFound"`
	RemoteExported bool   `json:"remoteExported"`
	RemoteReady    int    `json:"remoteReady"` // ready endpoints of the remote Service
	// why the remote Service could not be read; empty: it was, or no context was given
	RemoteUnread string `json:"remoteUnread"`
	Mode         string `json:"mode"` // MirrorGateway, MirrorRemoteDiscovery or MirrorFederated
	// there is no such Service: cluster and remote were read off its name and a Link
	Supposed        bool   `json:"supposed"`
	GatewayIdentity string `json:"gatewayIdentity"`

	RemoteService  Service      `json:"remoteService"`  // the Service in the target cluster
	RemoteSplit    *RemoteSplit `json:"remoteSplit"`    // its own cluster splits it too
	RemoteSplitWhy string       `json:"remoteSplitWhy"` // why that could not be seen; empty: it was
	Slices         Sight        `json:"slices"`         // of the mirror
	SlicesWhy      string       `json:"slicesWhy"`
	// gateway identities that they name, each once; "" where one names none
	SliceIdentities []string `json:"sliceIdentities"`
	// of the target cluster in the control plane's namespace; for mirrors without a gateway
	Credentials    Sight  `json:"credentials"`
	CredentialsWhy string `json:"credentialsWhy"`
}

// The ways in which a mirror Service leads to the other cluster.
const (
	MirrorGateway         = "gateway"          // endpoints are the other cluster's gateway
	MirrorRemoteDiscovery = "remote-discovery" // flat network: proxies ask the other cluster for its pods
	MirrorFederated       = "federated"        // one unweighted pool over several clusters
)

// Gateway is the gateway of a remote cluster as its own API server tells it.
type Gateway struct {
	Cluster   string   `json:"cluster"`
	Context   string   `json:"context"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Found     bool     `json:"found"`
	Addresses []string `json:"addresses"` // IPs and host names of the load balancer, as strings
	Identity  string   `json:"identity"`  // mesh identity, as its annotation says
	Pods      PodSet   `json:"pods"`
	Ready     bool     `json:"ready"`  // some endpoint of it is ready
	Unread    string   `json:"unread"` // why it could not be read; empty: it was
}

// Link is a multicluster Link of the client's cluster.
type Link struct {
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	TargetCluster   string `json:"targetCluster"`
	GatewayAddress  string `json:"gatewayAddress"` // as written: a comma-separated list
	GatewayPort     string `json:"gatewayPort"`
	GatewayIdentity string `json:"gatewayIdentity"`
	// which remote Services are mirrored through the gateway, as a label selector; empty: none
	Selector  string `json:"selector"`
	Discovery string `json:"discovery"` // the same for remote discovery

	// namespace of Linkerd in the target cluster; "": the usual one
	TargetControlPlane string         `json:"targetControlPlane"`
	Status             []MirrorStatus `json:"status"`
	Probe              string         `json:"probe,omitempty"` // how the gateway is probed, as the Link has it
	Controller         Controller     `json:"controller"`
}

// Pod is a pod that sends or draws requests.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Node      string `json:"node"`
	Zone      string `json:"zone,omitempty"` // of the node, as its label says
	OS        string `json:"os"`
	Arch      string `json:"arch"`      // of the node, e.g. "linux", "amd64"; empty where it may not be read
	Container string `json:"container"` // container to exec into
	// how it was chosen: "-c", "default-container annotation", "first container that is not the proxy"
	ContainerWhy string   `json:"containerWhy"`
	Image        string   `json:"image"`
	ImageID      string   `json:"imageID"`      // of that container
	WritableDirs []string `json:"writableDirs"` // emptyDir mounts of that container that are not read-only
	// mounts of that container that others may write to
	SharedDirs     []string  `json:"sharedDirs,omitempty"`
	AgentPath      string    `json:"agentPath"` // agent already installed, as the pod's annotation says; empty: none
	Meshed         bool      `json:"meshed"`    // has a proxy container or native sidecar
	ProxyContainer string    `json:"proxyContainer"`
	ProxyImage     string    `json:"proxyImage"`
	ProxyImageID   string    `json:"proxyImageID"` // as the node says, mostly NAME@sha256:...
	ProxyReady     bool      `json:"proxyReady"`
	ProxyRestarts  int32     `json:"proxyRestarts"`
	ProxyStartedAt time.Time `json:"proxyStartedAt"`
	StartedAt      time.Time `json:"startedAt"`

	Workload string   `json:"workload"` // what it was found by, e.g. "deploy/frontend", "-l app=frontend", "pod/NAME"
	Ready    bool     `json:"ready"`    // running, ready and not terminating
	Problem  string   `json:"problem"`  // why nothing can be run in the container now; empty: it can
	NotReady []string `json:"notReady"` // containers that are not ready, where Ready is false

	HostNetwork     bool   `json:"hostNetwork,omitempty"` // which Linkerd never injects a proxy into
	CPULimit        string `json:"cpuLimit,omitempty"`    // of that container; "": none
	ControlPlane    string `json:"controlPlane"`          // namespace of Linkerd, as the pod's label says; "": it does not
	ProfileNetworks string `json:"profileNetworks"`       // of its proxy's environment
	InboundPolicy   string `json:"inboundPolicy"`         // of its proxy's environment
	// its proxy listens on addresses of IPv4 alone, by its environment
	IPv4Only bool `json:"ipv4Only,omitempty"`
	// its proxy goes by the header l5d-dst-override, by its environment
	IngressMode  bool   `json:"ingressMode,omitempty"`
	SkipFrom     string `json:"skipFrom"`     // what the two below were read from
	SkipOutbound string `json:"skipOutbound"` // ports that go around the proxy, e.g. "25,587,3000-3100"
	SkipSubnets  string `json:"skipSubnets"`
}

// Through names the Service whose pods draw the backend in place of the source pod.
type Through struct {
	Service Service `json:"service"`
	Pods    []Pod   `json:"pods"`
}

// Cluster is one API server that was read.
type Cluster struct {
	Role    string `json:"role"` // "client" or the remote cluster's name
	Context string `json:"context"`
	Version string `json:"version"` // e.g. v1.36.3
	Server  string `json:"server"`  // address of the API server
	Problem string `json:"problem"` // why it could not be read; empty: it was
	// SkewMs is how far its clock is ahead of this machine's, to about a second; null where it did not say.
	SkewMs *int64 `json:"skewMs"`
}

// Context is the kubeconfig context of the cluster with this role, "" being the client's; "" where none is known.
func (s *Snapshot) Context(role string) string {
	for _, c := range s.Clusters {
		if c.Role == cmp.Or(role, "client") {
			return c.Context
		}
	}
	return ""
}
