package mesh

import "time"

// Snapshot is everything the verdict rests on, as the API servers told it at one time. It is plain data; Discover fills
// it, nothing changes it afterwards.
type Snapshot struct {
	TakenAt  time.Time
	Split    Split
	Root     Service   // the Service that clients dial
	Backends []Backend // in the order of Split.Effective
	Source   Pod       // the pod that sends the requests
	Through  *Through  // set where other pods than the source draw the backend
	Gateways []Gateway // one for each remote cluster that a mirror names
	Links    []Link
	Clusters []Cluster
	Port     int32    // port of the root Service that the requests go to; 0: not known, the root Service was not found
	Access   []Access // what the API server allows this user; empty where it would not say
	Notes    []string // what could not be seen, one sentence each; never a reason to pass
}

// Split is the object that declares the weights, and what proxies make of it.
type Split struct {
	Kind            string // "TrafficSplit"
	APIVersion      string // as read, e.g. split.smi-spec.io/v1alpha2
	Namespace, Name string
	UID             string
	ResourceVersion string
	Generation      int64
	Found           bool
	Root            string     // name of the root Service
	Declared        []Declared // as the object says it
	Effective       []Weight   // as the client's proxy obeys it, without weight-0 entries being dropped
	EffectiveFrom   string     // object that Effective was read from, e.g. "ServiceProfile test/podinfo.test.svc.cluster.local"
	Differs         bool       // the object that proxies obey says other weights than the split
	LastWriter      string     // managedFields manager that wrote it last
	LastWritten     time.Time
	YAML            []byte // the object as read, less managedFields, for the record

	Why       string       // why Found is false, e.g. that no version of the API is served
	Others    []string     // the other splits of the namespace, as "ts/NAME", at most ten
	Rivals    []string     // those of them that name the same root Service
	Matches   bool         // the split has spec.matches, which the SMI adaptor of Linkerd ignores
	AllZero   bool         // every weight is zero: proxies then send everything to the root's own endpoints
	WeightErr *WeightError // the first weight that cannot be used; Effective then lacks what it cannot say
	Profile   Profile
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
	State           ProfileState
	Namespace, Name string
	UID             string
	ResourceVersion string
	Created         time.Time
	Overrides       int    // number of dstOverrides
	Skip            bool   // smi.linkerd.io/skip: the SMI adaptor leaves it alone
	Hides           string // profile of the root's own namespace that this one, of the client's namespace, hides
	LastWriter      string
}

// Declared is one backend as the split object writes it.
type Declared struct {
	Service string
	Raw     string // weight as written, e.g. "500m", "50"
}

// Weight is the effective weight of one backend Service: an integer, only ratios matter.
type Weight struct {
	Service string
	Weight  int64
}

// Port is a Service port.
type Port struct {
	Name string
	Port int32
}

// Service is what the client's cluster knows of a Service.
type Service struct {
	Namespace, Name string
	Found           bool
	UID             string
	ClusterIP       string
	Headless        bool
	ExternalName    string
	Selector        map[string]string
	Ports           []Port
}

// HasPort reports whether the Service has the TCP port.
func (s Service) HasPort(port int32) bool {
	for _, p := range s.Ports {
		if p.Port == port {
			return true
		}
	}
	return false
}

// Backend is one leaf of the split.
type Backend struct {
	Name       string // Service name in the client's cluster
	Weight     int64  // effective weight
	IsRoot     bool   // the root Service itself is this backend: it cannot be dialled un-split
	Service    Service
	Port       int32      // port that proxies dial on this backend
	Mirror     *Mirror    // set where the Service mirrors one of another cluster, or would if it were there
	Endpoints  []Endpoint // as the client's cluster sees them; of a mirror: the gateway's addresses
	RemotePods []string   // names of the pods behind a mirror, from its own cluster; nil where that was not read
	Unread     string     // why Endpoints could not be read; empty: they were
}

// PodNames are the names of the pods that can answer for this backend, each once, nil where they could not be read.
func (b Backend) PodNames() []string {
	if b.Mirror != nil {
		return b.RemotePods
	}
	if b.Unread != "" {
		return nil
	}
	return podNames(b.Endpoints)
}

// Ready counts the endpoints that may get traffic.
func (b Backend) Ready() int {
	n := 0
	for _, e := range b.Endpoints {
		if e.Ready {
			n++
		}
	}
	return n
}

// Endpoint is one address behind a Service.
type Endpoint struct {
	Address string
	Port    int32
	Ready   bool
	Pod     string // name of the pod, empty for a gateway's address
}

// Mirror is what the labels and annotations of a mirror Service say.
type Mirror struct {
	Cluster         string // name of the target cluster, as the Link names it
	Remote          string // Service in the target cluster: namespace/name
	Context         string // kubeconfig context it was matched to; empty where none was given
	RemoteFound     bool
	RemoteExported  bool
	RemoteReady     int    // ready endpoints of the remote Service
	RemoteUnread    string // why the remote Service could not be read; empty: it was, or no context was given
	Mode            string // MirrorGateway, MirrorRemoteDiscovery or MirrorFederated
	Supposed        bool   // there is no such Service: cluster and remote were read off its name and a Link
	GatewayIdentity string
}

// The ways in which a mirror Service leads to the other cluster.
const (
	MirrorGateway         = "gateway"          // endpoints are the other cluster's gateway
	MirrorRemoteDiscovery = "remote-discovery" // flat network: proxies ask the other cluster for its pods
	MirrorFederated       = "federated"        // one unweighted pool over several clusters
)

// Gateway is the gateway of a remote cluster as its own API server tells it.
type Gateway struct {
	Cluster, Context string
	Namespace, Name  string
	Found            bool
	Addresses        []string // IPs and host names of the load balancer, as strings
	Ready            bool     // some endpoint of it is ready
	Unread           string   // why it could not be read; empty: it was
}

// Link is a multicluster Link of the client's cluster.
type Link struct {
	Namespace, Name string
	TargetCluster   string
	GatewayAddress  string // as written: a comma-separated list
	GatewayPort     string
	GatewayIdentity string
	Selector        string // which remote Services are mirrored through the gateway, as a label selector; empty: none
	Discovery       string // the same for remote discovery
}

// Pod is a pod that sends or draws requests.
type Pod struct {
	Namespace, Name string
	UID             string
	Node            string
	OS, Arch        string   // of the node, e.g. "linux", "amd64"; empty where it may not be read
	Container       string   // container to exec into
	ContainerWhy    string   // how it was chosen: "-c", "default-container annotation", "first container that is not the proxy"
	Image, ImageID  string   // of that container
	WritableDirs    []string // emptyDir mounts of that container that are not read-only
	AgentPath       string   // agent already installed, as the pod's annotation says; empty: none
	Meshed          bool     // has a proxy container or native sidecar
	ProxyContainer  string
	ProxyImage      string
	ProxyReady      bool
	ProxyRestarts   int32
	ProxyStartedAt  time.Time
	StartedAt       time.Time

	Workload string   // what it was found by, e.g. "deploy/frontend", "-l app=frontend", "pod/NAME"
	Ready    bool     // running, ready and not terminating
	Problem  string   // why nothing can be run in the container now; empty: it can
	NotReady []string // containers that are not ready, where Ready is false
}

// Through names the Service whose pods draw the backend in place of the source pod.
type Through struct {
	Service Service
	Pods    []Pod
}

// Cluster is one API server that was read.
type Cluster struct {
	Role    string // "client" or the remote cluster's name
	Context string
	Version string // e.g. v1.36.3
	Server  string // address of the API server
	Problem string // why it could not be read; empty: it was
}
