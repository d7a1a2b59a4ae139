package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// fetcher gets one URL from the source pod.
type fetcher interface {
	Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error)
}

// Bounds of learning what answers look like. Probes are never counted.
const (
	directProbes = 3  // of each backend that can be asked by itself
	rootProbes   = 20 // of the root, until every backend was seen
	probeTimeout = 5000
	probeBytes   = 64 << 10
)

// settle learns how the backends' answers are recognised and completes the plan with it. The result is part of the run.
func (r *run) settle(ctx context.Context, f fetcher) error {
	r.progress("settle", "learning which backend answers how")
	r.tally = judge.NewTally(len(r.m.Weights))
	if len(r.cfg.Rules) > 0 {
		rules, err := judge.UserRules(r.cfg.Rules, r.m.Weights)
		if err != nil {
			return err
		}
		r.m.Plan.Rules = rules
		r.m.Signatures = map[string]string{}
		for _, rule := range r.cfg.Rules {
			r.m.Signatures[rule.Backend] = strings.TrimPrefix(rule.Text, rule.Backend+"=") + " (--classify)"
		}
	} else {
		l := learner{snap: *r.m.Before, url: r.m.Plan.URL, header: r.m.Plan.Header}
		if err := l.probe(ctx, f); err != nil {
			return err
		}
		if r.checkAgain(l.seen()) {
			return nil // refused: the answers themselves say why
		}
		rules, signatures, err := l.rules()
		if err != nil {
			return err
		}
		r.m.Plan.Rules, r.m.Signatures = rules, signatures
	}
	if err := r.m.Plan.Validate(); err != nil {
		return err
	}
	return r.m.Write(r.folder)
}

// probe is one answer and who is known to have given it.
type probe struct {
	backend int               // index, or attack.Unattributed
	direct  bool              // the backend was asked by itself
	status  int               // HTTP status
	fields  map[string]string // JSON pointer to text, of the answer's top-level fields
}

// learner finds out how answers are told apart.
type learner struct {
	snap   law.Snapshot
	url    string
	header map[string]string
	probes []probe
	raw    []rawAnswer    // of every probe, as it came
	failed map[int]string // why a probe of a backend gave nothing; of the root under attack.Unattributed
}

// probe asks every backend that can be asked by itself, then the root until it has seen every backend.
func (l *learner) probe(ctx context.Context, f fetcher) error {
	l.failed = map[int]string{}
	for i, b := range l.snap.Backends {
		if b.IsRoot || b.Subset != "" { // cannot be dialled without a draw
			continue
		}
		for range directProbes {
			if err := l.ask(ctx, f, directURL(l.url, b, l.snap), i); err != nil {
				return err
			}
		}
	}
	for n := range rootProbes {
		if n >= directProbes && l.seenAll() {
			break
		}
		if err := l.ask(ctx, f, l.url, attack.Unattributed); err != nil {
			return err
		}
	}
	return nil
}

func (l *learner) ask(ctx context.Context, f fetcher, target string, backend int) error {
	res, body, err := f.Fetch(ctx, wire.FetchRequest{URL: target, Header: l.header, TimeoutMs: probeTimeout, MaxBytes: probeBytes})
	if err != nil {
		return err
	}
	l.raw = append(l.raw, rawAnswer{backend, answerOf(res, body)})
	fields := topFields(body)
	if len(fields) == 0 || res.Status >= 500 {
		if l.failed[backend] == "" {
			l.failed[backend] = describe(res, len(body))
		}
		return nil
	}
	l.probes = append(l.probes, probe{backend: backend, direct: backend >= 0, status: res.Status, fields: fields})
	return nil
}

// describe says what came in place of an answer that can be recognised.
func describe(res wire.FetchResult, body int) string {
	switch {
	case res.Class == attack.ErrEmpty.String():
		return "it closed the connection without an answer (empty reply), as a gateway does to a client outside the mesh"
	case res.Error != "":
		return brief(res.Error)
	}
	s := fmt.Sprintf("it answered with status %d and %d bytes that are no JSON object", res.Status, body)
	if e := res.Header["L5d-Proxy-Error"]; len(e) > 0 {
		s += " (proxy: " + brief(e[0]) + ")"
	}
	return s
}

// brief bounds foreign text so that the sentence around it can still say what to do.
func brief(s string) string { return untrusted.Cut(untrusted.Safe(s), 200) }

// seenAll reports whether the answers so far name every backend's pods.
func (l *learner) seenAll() bool {
	pointer := l.podPointer()
	if pointer == "" {
		return false
	}
	seen := map[int]bool{}
	for _, p := range l.probes {
		if p.direct {
			seen[p.backend] = true
		} else if b := l.podOf(p.fields[pointer]); b >= 0 {
			seen[b] = true
		}
	}
	for i, b := range l.snap.Backends {
		if b.Weight > 0 && !seen[i] {
			return false
		}
	}
	return true
}

// directURL is the request's URL with the backend's own Service for a host. The path stays.
func directURL(rootURL string, b law.Backend, s law.Snapshot) string {
	u, err := url.Parse(rootURL)
	if err != nil {
		return rootURL
	}
	host, ns := b.Service.Name, b.Service.Namespace
	if !b.Service.Found {
		host, ns = b.Name, s.Root.Namespace
	}
	if s.Source.Namespace != ns {
		host += "." + ns
	}
	if _, rest, dotted := strings.Cut(u.Hostname(), "."); dotted && ns == s.Root.Namespace && names(u.Hostname(), s.Root, s) &&
		u.Hostname() != s.Root.ClusterIP {
		host = b.Service.Name + "." + rest
		if !b.Service.Found {
			host = b.Name + "." + rest
		}
	}
	port := b.Port
	if port == 0 {
		port = s.Port
	}
	u.Host = host + ":" + strconv.Itoa(int(port))
	return u.String()
}

// maxFields bounds the fields of an answer that are looked at.
const maxFields = 64

// topFields are the text fields of a JSON object, by JSON pointer; nil where the body is none.
func topFields(body []byte) map[string]string {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return nil
	}
	fields := map[string]string{}
	for k, v := range object {
		if s, ok := v.(string); ok && s != "" && len(s) <= 256 && len(fields) < maxFields {
			fields["/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k)] = s
		}
	}
	return fields
}
