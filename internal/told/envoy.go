package told

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// EnvoyPort is the port of the admin interface of Istio's proxies.
const EnvoyPort = 15000

// EnvoyPages are the pages of an Envoy's admin interface that ReadEnvoy reads: routes that it was given while it ran,
// and those of its bootstrap.
func EnvoyPages() []string {
	return []string{"/config_dump?resource=dynamic_route_configs", "/config_dump?resource=static_route_configs"}
}

// envoyDump is a page of them.
type envoyDump struct {
	Configs []struct {
		Routes envoyRoutes `json:"route_config"`
	} `json:"configs"`
}

type envoyRoutes struct {
	Name  string `json:"name"`
	Hosts []struct {
		Domains []string     `json:"domains"`
		Routes  []envoyRoute `json:"routes"`
	} `json:"virtual_hosts"`
}

type envoyRoute struct {
	Match    json.RawMessage `json:"match"`
	Filters  json.RawMessage `json:"typed_per_filter_config"`
	Redirect *struct {
		Code string `json:"response_code"`
	} `json:"redirect"`
	Direct *struct {
		Status int `json:"status"`
	} `json:"direct_response"`
	Route *struct {
		Cluster  string `json:"cluster"`
		Weighted *struct {
			Clusters []struct {
				Name   string `json:"name"`
				Weight uint32 `json:"weight"`
			} `json:"clusters"`
			Header string `json:"header_name"`
		} `json:"weighted_clusters"`
	} `json:"route"`
}

// Envoy is what an Envoy's own configuration says: all routes that it holds.
type Envoy []envoyRoutes

// ReadEnvoy reads the pages. One that was not there is left out, or empty.
func ReadEnvoy(pages [][]byte) (Envoy, error) {
	var all Envoy
	for _, page := range pages {
		var d envoyDump
		if len(page) == 0 {
			continue
		}
		if err := json.Unmarshal(page, &d); err != nil {
			return nil, errors.New("the routes that Envoy shows cannot be read: " + untrusted.Short(err.Error(), 200))
		}
		for _, c := range d.Configs {
			all = append(all, c.Routes)
		}
	}
	return all, nil
}

// Law is the law for a request, as Envoy's router chooses: the best domain, then the first route that fits
// (envoyproxy.io, config.route.v3; tested with Envoy 1.40.0). Its error says in one sentence why no law can be made.
func (e Envoy) Law(q law.Question) (law.Law, error) {
	routes, err := routesFor(e, q)
	if err != nil {
		return law.Law{}, err
	}
	out := law.Law{Probe: q.Probe, NullModel: law.RandomPerRequest}
	rest, some := 1.0, false // the share of requests that no route has taken yet
	var shares []law.Leaf
	for _, r := range routes {
		fits, fraction, err := envoyFits(r.Match, q.Probe)
		if err != nil {
			return law.Law{}, err
		}
		if !fits || fraction == 0 {
			continue
		}
		leaves, err := r.leaves(q)
		if err != nil {
			return law.Law{}, err
		}
		some = true
		for _, l := range leaves {
			l.Probability *= rest * fraction
			shares = append(shares, l)
		}
		if rest *= 1 - fraction; rest == 0 {
			break
		}
	}
	switch {
	case !some:
		out.Problem = fmt.Sprintf("no route of the client's Envoy fits %s: it answers 404", q.Probe)
	case rest > 0:
		shares = append(shares, law.Leaf{
			ProxyStatus: http.StatusNotFound, Problem: "no route takes the rest: Envoy answers 404", Probability: rest,
		})
		fallthrough
	default:
		out.Backends = weighed(shares)
	}
	return out, nil
}

// weighed gives shares whole weights, in millionths where they are no weights of one route.
func weighed(shares []law.Leaf) []law.Leaf {
	exact := true
	sum := 0.0
	for _, l := range shares {
		sum += float64(l.Weight)
	}
	for _, l := range shares {
		exact = exact && math.Abs(float64(l.Weight)/sum-l.Probability) < 1e-12
	}
	for i := range shares {
		if !exact {
			shares[i].Weight = int64(math.Round(shares[i].Probability * 1e6))
		}
	}
	return shares
}

// routesFor are the routes of the virtual host whose domain fits best: an exact one, then the longest with a * before,
// then the longest with a * behind, then * alone. Of several configurations it is that of the port.
func routesFor(all []envoyRoutes, q law.Question) ([]envoyRoute, error) {
	port := strconv.Itoa(int(q.Port))
	own := slices.DeleteFunc(slices.Clone(all), func(c envoyRoutes) bool {
		return c.Name != port && !strings.HasSuffix(c.Name, ":"+port)
	})
	if len(own) == 0 {
		own = all
	}
	best := rank{}
	var found []envoyRoute
	several := false
	for _, c := range own {
		for _, h := range c.Hosts {
			for _, d := range h.Domains {
				r, fits := domainRank(strings.ToLower(d), strings.ToLower(q.Probe.Host), port)
				switch order := slices.Compare(best[:], r[:]); {
				case fits && order < 0:
					best, found, several = r, h.Routes, false
				case fits && order == 0 && len(own) > 1:
					several = true
				}
			}
		}
	}
	switch {
	case best[0] == 0:
		return nil, fmt.Errorf("the client's Envoy holds no routes for host %q and port %s",
			untrusted.Safe(q.Probe.Host), port)
	case several:
		return nil, fmt.Errorf("the client's Envoy holds several sets of routes for host %q and port %s",
			untrusted.Safe(q.Probe.Host), port)
	}
	return found, nil
}

// rank orders domains that all fit; the greater wins.
type rank [2]int

func domainRank(domain, host, port string) (rank, bool) {
	for _, h := range []string{host, net.JoinHostPort(host, port)} {
		suffix, before := strings.CutPrefix(domain, "*")
		prefix, behind := strings.CutSuffix(domain, "*")
		switch {
		case domain == h:
			return rank{4}, true
		case domain == "*":
			return rank{1}, true
		case before && strings.HasSuffix(h, suffix) && len(h) > len(suffix):
			return rank{3, len(suffix)}, true
		case behind && strings.HasPrefix(h, prefix) && len(h) > len(prefix):
			return rank{2, len(prefix)}, true
		}
	}
	return rank{}, false
}

// leaves are where a route leads, with the probabilities of one draw.
func (r envoyRoute) leaves(q law.Question) ([]law.Leaf, error) {
	switch {
	case bytes.Contains(r.Filters, []byte(`"abort"`)):
		return nil, unknownEnvoy("an injected fault")
	case r.Direct != nil:
		why := fmt.Sprintf("Envoy answers its share with %d", r.Direct.Status)
		return []law.Leaf{{ProxyStatus: r.Direct.Status, Problem: why, Weight: 1, Probability: 1}}, nil
	case r.Redirect != nil:
		status, ok := map[string]int{
			"": 301, "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303,
			"TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308,
		}[r.Redirect.Code]
		if !ok {
			return nil, unknownEnvoy("a redirect")
		}
		why := fmt.Sprintf("Envoy answers its share with a redirect, %d", status)
		return []law.Leaf{{ProxyStatus: status, Problem: why, Weight: 1, Probability: 1}}, nil
	case r.Route != nil && r.Route.Cluster != "":
		l := clusterLeaf(r.Route.Cluster, q)
		l.Weight, l.Probability = 1, 1
		return []law.Leaf{l}, nil
	case r.Route == nil || r.Route.Weighted == nil || r.Route.Weighted.Header != "":
		return nil, unknownEnvoy("a way to choose a cluster")
	}
	var out []law.Leaf
	var sum int64
	for _, c := range r.Route.Weighted.Clusters {
		l := clusterLeaf(c.Name, q)
		l.Weight = int64(c.Weight)
		out, sum = append(out, l), sum+l.Weight
	}
	if sum == 0 {
		return nil, errors.New("the weights of a route of Envoy sum to nothing")
	}
	for i := range out {
		out[i].Probability = float64(out[i].Weight) / float64(sum)
	}
	return out, nil
}

// clusterLeaf is the Service behind a cluster: outbound|PORT|SUBSET|HOST of Istio, NAMESPACE/NAME[:PORT], or its host.
func clusterLeaf(cluster string, q law.Question) law.Leaf {
	var l law.Leaf
	host := strings.TrimSuffix(cluster, ";")
	if p := strings.Split(host, "|"); len(p) == 4 && p[0] == "outbound" {
		n, _ := strconv.ParseUint(p[1], 10, 16) // 0: it is no number, and the port that is dialled stands
		l.Port, l.Subset, host = int32(n), untrusted.Cut(p[2], 253), p[3]
	}
	if ns, rest, ok := strings.Cut(host, "/"); ok && !strings.Contains(rest, "/") {
		name, port, _ := strings.Cut(rest, ":")
		n, _ := strconv.ParseUint(port, 10, 16)
		l.Port, host = int32(n), name+"."+ns
	}
	name, ns, dotted := strings.Cut(host, ".")
	l.Service, l.Namespace = untrusted.Cut(name, 253), q.Root.Namespace
	if dotted {
		l.Namespace, _, _ = strings.Cut(ns, ".")
	}
	l.Namespace = cmp.Or(untrusted.Cut(l.Namespace, 63), q.Root.Namespace)
	if host == "BlackHoleCluster" {
		return law.Leaf{ProxyStatus: http.StatusBadGateway, Problem: "Envoy answers its share with 502 (BlackHoleCluster)"}
	}
	return l
}

// unknownEnvoy is the error for what may be configured and is not understood.
func unknownEnvoy(what string) error {
	return errors.New("a route of Envoy that may take the request has " + what + " that this program does not know")
}
