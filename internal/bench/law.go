package bench

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
)

// probeOf is the request that the law is asked for: what the run is going to send.
func probeOf(cfg Config) law.Probe {
	sent := cfg.Load.Sending
	p := law.Probe{Method: http.MethodGet, Header: headers(cfg.Load.Header, sent.Header)}
	if u, err := url.Parse(cfg.URL); err == nil && cfg.URL != "" {
		p.Path, p.Host = u.RequestURI(), u.Hostname()
	}
	if sent.Protocol == attack.ProtocolGRPC {
		p.Method, p.Path = http.MethodPost, sent.Unary.Path()
	}
	for k, v := range p.Header {
		if strings.EqualFold(k, "Host") {
			p.Host = v
			if host, _, err := net.SplitHostPort(v); err == nil {
				p.Host = host
			}
		}
	}
	return p
}

// law is the law that the run is tested against; its zero value for runs of versions that did not know of any.
func (m *Manifest) law() law.Law {
	if m.Before == nil {
		return law.Law{}
	}
	return m.Before.Law
}

// judgeLaw makes the one decision by the null model of the law: requests that are drawn one by one, connections where each
// of them is one draw, or turns by weight. The tally that it gives is what the decision counted.
func judgeLaw(in *report.Input, m Manifest, t *tally) (analyze.Decision, *tally, error) {
	switch m.law().NullModel {
	case law.RandomPerConnection:
		if r := m.Plan.Reuse; r == nil || r.MaxRequests != 1 {
			byConnection, err := perConnection(t, len(m.Weights))
			if err != nil {
				return analyze.Decision{}, nil, err
			}
			in.Counts, t = byConnection.counts, byConnection
			in.Warnings = append(in.Warnings, fmt.Sprintf(
				"the split is drawn for each connection, so the %d connections were counted, each by its first answer, not the requests", t.n))
		}
	case law.WeightedRoundRobin, law.StickyAssignment:
		d, turns, err := analyze.JudgeTurns(m.Weights, in.Counts, m.Options, turnsOf(*m.Before))
		t.turns = turns.Within
		return d, t, err
	case law.RandomPerRequest:
	}
	d, err := analyze.Judge(m.Weights, in.Counts, m.Options)
	return d, t, err
}

// turnsOf says how many schedules there are: one in each pod that draws.
func turnsOf(s law.Snapshot) analyze.Turns {
	t := analyze.Turns{Instances: 1 + len(s.Others), Levels: 1}
	if s.Through != nil {
		t.Instances = max(1, len(s.Through.Pods))
	}
	if s.Law.Path == law.PathTraefikService {
		t.Levels = max(1, len(s.Law.Objects))
	}
	return t
}

// perConnection counts the first answer of each connection: later ones of it are no draws of their own.
func perConnection(t *tally, backends int) (*tally, error) {
	if !t.ordered() {
		return nil, fmt.Errorf("the split is drawn for each connection, and which requests shared one was not kept; send fewer requests, or one for each connection with --requests-per-connection 1")
	}
	out := newTally(backends)
	seen := map[int]bool{}
	for _, o := range t.observations {
		if o.Conn < 0 || seen[o.Conn] {
			continue
		}
		seen[o.Conn] = true
		o.Conn = int(out.n) // each a connection of its own
		out.observations = append(out.observations, o)
		if o.Backend >= 0 && o.Backend < backends {
			out.counts.N[o.Backend]++
		} else {
			out.counts.Unattributed++
		}
		out.n++
	}
	if out.n == 0 {
		return nil, fmt.Errorf("the split is drawn for each connection, and the engine did not say which request used which")
	}
	return out, nil
}

// expected are the diagnostics that turns by weight show by their nature.
func expected(item analyze.Diagnostic, turns bool) bool {
	switch item.Name {
	case analyze.DiagnosticAlternating, analyze.DiagnosticEven, analyze.DiagnosticPeriodic, analyze.DiagnosticSticky:
		return turns && !item.OK
	}
	return false
}
