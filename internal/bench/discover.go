package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// expectPause is between two looks at the objects while they are waited for, where no watch says that they changed.
const expectPause = 2 * time.Second

// discover reads the cluster. Where other weights are expected it waits for them as long as it may; what it then sees
// is judged by the caller.
func (r *run) discover(ctx context.Context) (law.Snapshot, error) {
	snap, err := mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, r.cfg.Query)
	e := r.cfg.Expect
	if err != nil || e == nil {
		return snap, err
	}
	deadline := time.Now().Add(e.Wait)
	for {
		why := unmet(e, snap)
		switch {
		case why == "":
			return snap, nil
		case !time.Now().Before(deadline):
			if e.Wait > 0 {
				why += fmt.Sprintf("; waited %s", e.Wait)
			}
			r.m.Before, r.m.Weights = &snap, record.WeightsOf(snap)
			r.m.Remedies = append(r.m.Remedies,
				"change the split, or what you --expect; --wait-for waits for a change that is on its way")
			return snap, errors.New(why)
		}
		r.progress("discover", "waiting for the weights: "+why)
		if err := r.changed(ctx, snap, deadline); err != nil {
			return snap, err
		}
		if snap, err = mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, r.cfg.Query); err != nil {
			return snap, err
		}
	}
}

// unmet says why the snapshot is not what is expected.
func unmet(e *Expect, s law.Snapshot) string {
	switch {
	case !s.Split.Found:
		return "there is no split yet (" + untrusted.Safe(s.Split.Why) + "), you expected " + e.Text
	case len(s.Split.Effective) == 0:
		return "the split's weights cannot be read, you expected " + e.Text
	}
	return e.met(record.WeightsOf(s))
}

// changed returns when an object of the law changes, at the latest after a pause or at the deadline.
func (r *run) changed(ctx context.Context, s law.Snapshot, deadline time.Time) error {
	refs := slices.DeleteFunc(s.Refs(), func(ref law.Ref) bool { return !ref.Law })
	w := mesh.Watch(ctx, map[string]mesh.Client{law.RoleClient: r.cfg.Local}, refs)
	defer w.Close()
	var changes <-chan mesh.Event
	if len(refs) > 0 { // else nothing is followed
		changes = w.Events()
	}
	select {
	case <-changes:
	case <-time.After(min(expectPause, time.Until(deadline))):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Discover reads the cluster, and asks for the law of the request that the configuration is about.
func Discover(ctx context.Context, cfg Config) (law.Snapshot, error) {
	snap, err := mesh.Discover(ctx, cfg.Local, cfg.Remotes, cfg.asking().Query)
	if err == nil {
		err = withRunners(ctx, cfg, &snap)
	}
	return snap, err
}

// asking is the configuration with its request as the law is asked for it: what is going to be sent.
func (c Config) asking() Config {
	sent := c.Load.Template
	p := law.Probe{
		Protocol: string(sent.Protocol), Method: cmp.Or(sent.Method, http.MethodGet),
		Header: headers(c.Load.Header, sent.Header),
	}
	if u, err := url.Parse(c.URL); err == nil && c.URL != "" {
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
	c.Query.Probe = p
	return c
}

// speak settles the protocol that nobody chose: the one of the request that the law was asked for.
func (l *Load) speak(asked law.Probe) {
	if l.Template.Protocol == "" && asked.IsCall() {
		l.Template.Protocol = attack.ProtocolGRPC
	}
}

// Weights reads the effective weights of a split, and says where they come from.
func Weights(ctx context.Context, cfg Config) (analyze.Weights, string, error) {
	cfg.Query.SplitOnly = true
	s, err := Discover(ctx, cfg)
	if err != nil {
		return nil, "", err
	}
	for _, n := range s.Notes {
		if cfg.Log != nil && (strings.Contains(n, "may rule") || strings.Contains(n, "ServiceProfiles could not be read")) {
			fmt.Fprintf(cfg.Log, "splitbench: note: %s\n", untrusted.Safe(n))
		}
	}
	if t := s.Told; t != nil && t.Why != "" {
		err := fmt.Errorf("what proxies are told is not known: %s", t.Why)
		if t.Required {
			return nil, "", &mesh.Error{Kind: mesh.KindServer, Op: "read", Object: "--law told", Cause: err}
		}
		if cfg.Log != nil {
			fmt.Fprintf(cfg.Log, "splitbench: note: %s\n", untrusted.Error(err))
		}
	}
	if !s.Split.Found {
		e := &mesh.Error{Kind: mesh.KindNotFound, Op: "read", Object: "split " + s.Split.Name, Cause: errors.New(s.Split.Why)}
		if len(s.Split.Others) > 0 {
			e.Hint = law.Candidates(s.Split.Asked(), "splits", s.Split.Others)
		}
		return nil, "", e
	}
	if len(s.Split.Effective) == 0 && (s.Split.WeightErr != nil || s.Law.Problem != "") {
		e := &mesh.Error{Kind: mesh.KindServer, Op: "read", Object: "split " + s.Split.Name, Cause: errors.New(s.Law.Problem)}
		if s.Split.WeightErr != nil {
			e.Cause = s.Split.WeightErr
		}
		return nil, "", e
	}
	return record.WeightsOf(s), s.Split.EffectiveFrom, nil
}
