package told

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// TraefikPort is the port of the entry point that Traefik serves its API at.
const TraefikPort = 8080

// TraefikPages are the pages of the API that ReadTraefik reads.
func TraefikPages() []string { return []string{"/api/rawdata"} }

// Traefik is the services that a Traefik holds, by their names with their provider's.
type Traefik map[string]traefikService

type traefikService struct {
	Weighted *struct {
		Services []struct {
			Name   string `json:"name"`
			Weight *int64 `json:"weight"`
		} `json:"services"`
		Sticky *struct {
			Cookie *struct{} `json:"cookie"`
		} `json:"sticky"`
	} `json:"weighted"`
	Mirroring *struct {
		Service string `json:"service"`
	} `json:"mirroring"`
	Failover *struct {
		Service string `json:"service"`
	} `json:"failover"`
	LoadBalancer *struct{} `json:"loadBalancer"`
	Errors       []string  `json:"error"`
}

// ReadTraefik reads the pages.
func ReadTraefik(pages [][]byte) (Traefik, error) {
	if len(pages) == 0 {
		return nil, errors.New("Traefik does not show what it holds: its API is not enabled (--api.insecure)")
	}
	var raw struct {
		Services Traefik `json:"services"`
	}
	if err := json.Unmarshal(pages[0], &raw); err != nil {
		return nil, errors.New("what Traefik shows of its services cannot be read: " + untrusted.Short(err.Error(), 200))
	}
	return raw.Services, nil
}

// Law is the law of the TraefikService of the question, as Traefik made services of its own of it and of the Services
// that it names (traefik v3.7, pkg/provider/kubernetes/crd/kubernetes_http.go; recorded from Traefik 3.6.0). Its error
// says in one sentence why no law can be made.
func (t Traefik) Law(q law.Question) (law.Law, error) {
	out := law.Law{Probe: q.Probe, NullModel: law.WeightedRoundRobin}
	name := traefikName(q.Split.Namespace, q.Split.Name) + "@kubernetescrd"
	if err := t.follow(&out, q, name, law.Leaf{Weight: 1, Probability: 1}, 0); err != nil {
		return law.Law{}, err
	}
	if out.Problem != "" {
		out.Backends = nil
	}
	out.Backends = weighed(out.Backends)
	return out, nil
}

// maxLeaves bounds what is followed.
const maxLeaves = 256

// follow adds what a service leads to, which has the weight and the share of what leads to it.
func (t Traefik) follow(out *law.Law, q law.Question, name string, of law.Leaf, depth int) error {
	s, held := t[name]
	switch {
	case !held || len(s.Errors) > 0:
		out.Problem = fmt.Sprintf("Traefik holds no working service %s%s", untrusted.Short(name, 200),
			untrusted.Short(strings.Join(append([]string{""}, s.Errors...), ": "), 200))
		return nil
	case depth > 8:
		return fmt.Errorf("the service %s that Traefik holds is nested more than 8 deep", untrusted.Short(name, 200))
	case s.Mirroring != nil:
		return t.follow(out, q, sibling(s.Mirroring.Service, name), of, depth+1)
	case s.Failover != nil:
		return t.follow(out, q, sibling(s.Failover.Service, name), of, depth+1)
	case s.LoadBalancer != nil:
		if len(out.Backends) == maxLeaves {
			return fmt.Errorf("the service that Traefik holds leads to more than %d backends", maxLeaves)
		}
		leaf, err := traefikLeaf(name, q)
		leaf.Weight, leaf.Probability = of.Weight, of.Probability
		out.Backends = append(out.Backends, leaf)
		return err
	case s.Weighted == nil:
		return fmt.Errorf("the service %s that Traefik holds draws in a way that this program does not know",
			untrusted.Short(name, 200))
	}
	if s.Weighted.Sticky != nil && s.Weighted.Sticky.Cookie != nil {
		out.NullModel = law.StickyAssignment
	}
	weight := func(w *int64) int64 {
		if w == nil {
			return 1
		}
		return max(0, *w)
	}
	sum := 0.0
	for _, e := range s.Weighted.Services {
		sum += float64(weight(e.Weight))
	}
	if sum == 0 {
		out.Problem = "the weights of the service " + untrusted.Short(name, 200) + " that Traefik holds sum to nothing"
		return nil
	}
	for _, e := range s.Weighted.Services {
		w := weight(e.Weight)
		next := law.Leaf{Weight: w, Probability: of.Probability * float64(w) / sum}
		if err := t.follow(out, q, sibling(e.Name, name), next, depth+1); err != nil || out.Problem != "" {
			return err
		}
	}
	return nil
}

// sibling is the whole name of a service that another names: of its own provider, unless it says so.
func sibling(name, of string) string {
	if strings.Contains(name, "@") {
		return name
	}
	_, provider, _ := strings.Cut(of, "@")
	return name + "@" + provider
}

// traefikName joins names as Traefik does: letters and digits, with dashes between.
func traefikName(parts ...string) string {
	other := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }
	return strings.Join(strings.FieldsFunc(strings.Join(parts, "-"), other), "-")
}

// traefikLeaf is the Service behind NAMESPACE-NAME-PORT@kubernetescrd: the one with the longest name of those that the
// objects name, else what the name itself says of the split's namespace.
func traefikLeaf(whole string, q law.Question) (law.Leaf, error) {
	name, _, _ := strings.Cut(whole, "@")
	var best law.Leaf
	several := false
	for _, b := range q.Backends {
		rest, ok := strings.CutPrefix(name, traefikName(b.Namespace, b.Service)+"-")
		leaf := law.Leaf{Namespace: b.Namespace, Service: b.Service, Port: b.Port} // of a port's name, which objects number
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			leaf.Port = int32(n)
		}
		if ok && len(b.Service) >= len(best.Service) {
			several = len(b.Service) == len(best.Service) && leaf != best
			best = leaf
		}
	}
	if best.Service != "" && !several {
		return best, nil
	}
	rest, own := strings.CutPrefix(name, traefikName(q.Split.Namespace)+"-")
	dash := max(0, strings.LastIndex(rest, "-"))
	n, err := strconv.ParseUint(strings.TrimPrefix(rest[dash:], "-"), 10, 16)
	if !own || err != nil || dash == 0 {
		return best, fmt.Errorf("which Service and port is behind the service %s that Traefik holds cannot be told",
			untrusted.Short(whole, 200))
	}
	return law.Leaf{Namespace: q.Split.Namespace, Service: untrusted.Cut(rest[:dash], 63), Port: int32(n)}, nil
}
