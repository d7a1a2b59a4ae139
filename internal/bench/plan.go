package bench

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/witness"
)

// A sequential run looks so often, unless it is told otherwise.
const (
	mostLooks = 100
	minEvery  = 20
)

// leastConnections is how many connections a run spreads its requests over at least. If every answer came from one
// backend, over connections that may be pinned to it, each connection would count as one draw: few could not show that
// the split is ignored, which is the commonest way for one to be wrong.
const leastConnections = 128

// plan fixes the burst. Its rules of classification are learned later, before the first counted request.
func (r *run) plan(snap law.Snapshot) (attack.Plan, error) {
	target, err := targetURL(r.cfg.URL, snap)
	if err != nil {
		return attack.Plan{}, &record.UsageError{Err: err}
	}
	requests := r.cfg.Load.Requests
	if requests == 0 {
		n, err := analyze.RequiredRequests(r.m.Weights, r.cfg.Options)
		if err != nil {
			return attack.Plan{}, fmt.Errorf("plan requests: %w", err)
		}
		requests = uint64(n)
		r.m.Automatic = true
	}
	p := r.cfg.Load.Plan(target, requests)
	if p.Reuse == nil || p.Reuse.MaxRequests == 0 && p.Reuse.MaxAge == 0 {
		perConn := max(1, requests/leastConnections)
		if snap.Law.NullModel == law.RandomPerConnection {
			perConn = 1 // each connection is one draw, so each request gets one of its own
		}
		p.Reuse = &attack.Reuse{MinRequests: perConn, MaxRequests: perConn}
	}
	if p.EngineName() == attack.EngineVegeta { // which cannot give up connections by a plan
		p.Reuse = nil
	}
	if err := p.Validate(); err != nil {
		if r.m.Automatic && requests > p.MaxRequests {
			err = fmt.Errorf("--requests auto: %d are needed to tell with these weights, tolerance, alpha and power; "+
				"allow them with --max-requests %d, or widen --tolerance", requests, requests)
		}
		return attack.Plan{}, &record.UsageError{Err: err}
	}
	pods := max(1+len(snap.Others), r.cfg.Runners.Pods)
	p.Connections = max(p.Connections, pods)
	if err := checkPods(p, pods, r.cfg.Resume); err != nil {
		return attack.Plan{}, err
	}
	if err := errors.Join(r.checkSequential(p), r.checkCounting()); err != nil {
		return attack.Plan{}, err
	}
	// The rules must fit too: a rule of the user's for a backend that does not exist is found here.
	if _, err := judge.UserRules(r.cfg.Rules, r.m.Weights, r.m.ProxyAnswers()); err != nil {
		return attack.Plan{}, &record.UsageError{Err: err}
	}
	return p, nil
}

// Plan is the burst to a URL, before what a kind of run makes of it.
func (l Load) Plan(target string, requests uint64) attack.Plan {
	p := l.Template
	if p.Protocol == attack.ProtocolHTTP1 { // a plan does not name its defaults
		p.Protocol = ""
	}
	p.URL, p.Rate, p.Requests, p.WarmUp = target, l.Rate, requests, l.WarmUp
	p.Connections, p.Timeout = l.Connections, l.Timeout
	p.MaxRate, p.MaxRequests = l.MaxRate, l.MaxRequests
	p.Header = headers(l.Header, p.Header)
	return p.WithDefaults()
}

// checkPods refuses a plan that cannot be shared out.
func checkPods(p attack.Plan, pods int, resume bool) error {
	switch {
	case pods > 1 && p.Shape != nil:
		return record.Usagef("--pods: only a constant rate can be shared out between pods")
	case resume && p.Shape != nil:
		return record.Usagef("--resume: only a constant rate can be resumed")
	case uint64(pods) > p.Requests:
		return record.Usagef("--pods: %d pods for %d requests; send more of them, or from fewer pods", pods, p.Requests)
	case record.Stagger(p, pods-1) > agent.MaxDelay:
		return record.Usagef("--pods: at %g requests per second the last of %d pods would begin after %s; raise --rate, or "+
			"send from fewer pods", p.Rate.PerSecond(), pods, record.Stagger(p, pods-1))
	}
	return nil
}

// checkSequential refuses a plan that cannot be looked at while it is sent, and fixes when it is.
func (r *run) checkSequential(p attack.Plan) error {
	q, perConnection := r.m.Sequential, r.m.Before.Law.NullModel == law.RandomPerConnection
	switch {
	case q == nil:
	case r.cfg.Options.Gate != analyze.GateTolerance:
		return record.Usagef("--sequential: its rule is the tolerance; leave --gate %s out", r.cfg.Options.Gate)
	case p.Requests > judge.MaxSequential:
		return record.Usagef("--sequential: %d requests, at most %d can be looked at in their order",
			p.Requests, judge.MaxSequential)
	case perConnection && (p.Reuse == nil || p.Reuse.MaxRequests != 1):
		return record.Usagef("--sequential: this split is drawn for each connection; leave --requests-per-connection out")
	case q.Every == 0:
		q.Every = max(minEvery, p.Requests/mostLooks)
	}
	return nil
}

// checkCounting refuses what answers alone could do for a run that is counted by the proxy.
func (r *run) checkCounting() error {
	r.m.CountedBy = r.cfg.CountBy
	switch {
	case r.cfg.CountBy == "":
	case r.cfg.Witness == witness.Off:
		return record.Usagef("--count-by proxy: --witness off leaves nothing to count by")
	case len(r.cfg.Rules) > 0:
		return record.Usagef("--count-by proxy: --classify tells backends apart by answers; leave one of them out")
	case r.m.Sequential != nil:
		return record.Usagef("--count-by proxy: --sequential looks at answers in their order; leave one of them out")
	case r.cfg.Expect != nil && r.cfg.Expect.Wait > 0:
		return record.Usagef("--count-by proxy: --wait-for tells by answers when the data plane follows; " +
			"leave one of them out")
	}
	return nil
}

// identify names the run in every request, unless the user has said otherwise.
func (r *run) identify(id string) {
	own := map[string]string{"X-Splitbench-Run": id}
	if agent := r.cfg.Load.Header["User-Agent"]; agent != "" {
		own["User-Agent"] = agent + " (" + id + ")"
	}
	r.m.Plan.Header = headers(own, r.cfg.Load.Template.Header)
}

// headers are those of the program, in place of which the user's stand.
func headers(own, user map[string]string) map[string]string {
	out := maps.Clone(user)
	if out == nil {
		out = map[string]string{}
	}
	for name, value := range own {
		given := false
		for n := range user {
			given = given || strings.EqualFold(n, name)
		}
		if !given {
			out[name] = value
		}
	}
	return out
}

// targetURL is where the requests go: the root Service, unless other pods draw.
func targetURL(given string, s law.Snapshot) (string, error) {
	switch {
	case given != "":
	case s.Through != nil:
		return "", fmt.Errorf("--through svc/%s: name with --url what is to be requested of it", s.Through.Service.Name)
	default:
		return rootURL(s, "/"), nil
	}
	u, err := url.Parse(given)
	if err != nil {
		return "", fmt.Errorf("--url: %w", err)
	}
	if s.Through != nil {
		if !names(u.Hostname(), s.Through.Service, s) {
			return "", fmt.Errorf("--url %q: its host is not the Service %s that --through names",
				given, s.Through.Service.Name)
		}
		return given, nil
	}
	if !names(u.Hostname(), s.Root, s) {
		return "", fmt.Errorf("--url %q: host %q is not the split's root Service %q: requests there are not drawn "+
			"by this split; if pods of another Service send them on, name it with --through svc/NAME",
			given, u.Hostname(), s.Root.Name)
	}
	if port := u.Port(); port == "" && s.Port != 80 || port != "" && port != strconv.Itoa(int(s.Port)) {
		return "", fmt.Errorf("--url %q: its port is not %d of Service %s", given, s.Port, s.Root.Name)
	}
	return given, nil
}

// rootURL is a path of the root Service, as the source pod writes it.
func rootURL(s law.Snapshot, path string) string {
	host := s.Root.Name
	if s.Source.Namespace != s.Root.Namespace {
		host += "." + s.Root.Namespace
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(s.Port))) + path
}

// names reports whether a host name, as the source pod writes it, means the Service. A bare name means it only in its
// own namespace, and a full one only in the cluster's own domain.
func names(host string, s law.Service, snap law.Snapshot) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if s.IsAt(host) {
		return true
	}
	short := s.Name + "." + s.Namespace
	switch host {
	case short, short + ".svc", short + ".svc.cluster.local":
		return true
	case s.Name:
		return snap.Source.Namespace == s.Namespace
	}
	// A ServiceProfile is named by the full name of its Service, whatever the cluster's domain is.
	domain, ok := strings.CutPrefix(snap.Split.Profile.Name, snap.Root.Name+"."+snap.Root.Namespace+".svc.")
	return ok && domain != "" && host == short+".svc."+domain
}
