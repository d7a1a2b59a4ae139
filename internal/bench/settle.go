package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// Bounds of learning what answers look like. Probes are never counted.
const (
	directProbes = 3  // of each backend that can be asked by itself
	rootProbes   = 20 // of the root, until every backend was seen
	probeTimeout = 5000
	probeBytes   = 64 << 10
	shownBody    = 400 // of an answer that no rule fits, in bytes
)

// settle learns how the backends' answers are recognised and completes the plan with it. The result is part of the run.
func (r *run) settle(ctx context.Context, f fetcher) error {
	r.progress("settle", "learning which backend answers how")
	r.seen = judge.NewEvidence(r.m)
	if len(r.cfg.Rules) > 0 {
		rules, err := judge.UserRules(r.cfg.Rules, r.m.Weights, r.m.ProxyAnswers())
		if err != nil {
			return err
		}
		r.m.Plan.Rules = rules
		r.m.Signatures = judge.RuleTexts(r.cfg.Rules)
		if err := r.tryRules(ctx, f); err != nil {
			return err
		}
	} else {
		l := learner{snap: *r.m.Before, plan: r.m.Plan}
		if err := l.probe(ctx, f); err != nil {
			return err
		}
		r.m.Checks = r.cfg.checks(preflight.View{Snapshot: *r.m.Before, Probed: &l.seen})
		if r.m.Refused() {
			return nil // the answers themselves say why
		}
		if err := r.recognise(&l); err != nil {
			return err
		}
	}
	if err := r.m.Plan.Validate(); err != nil {
		return err
	}
	return r.m.Write(r.folder)
}

// tryRules asks the root until a rule of the user's fits. Where answers come and none fits a burst would count nothing,
// and where none comes there is nothing to count.
func (r *run) tryRules(ctx context.Context, f fetcher) error {
	classifier, err := attack.NewClassifier(r.m.Plan.Rules)
	if err != nil || r.m.CountedBy == record.CountedByProxy || r.cfg.KeepGoing {
		return err
	}
	answers, errs, silent, seen := 0, 0, 0, ""
	for silent < directProbes && answers+errs+silent < rootProbes {
		res, body, err := f.Fetch(ctx, fetchLike(r.m.Plan, r.m.Plan.URL))
		if err != nil {
			return err
		}
		answer := attack.Result{Status: uint16(res.Status), Backend: classifier.Classify(res.Header, body)}
		switch {
		case res.Error != "" || res.Status == 0:
			silent++
			seen = describe(res, len(body), false)
		case r.m.ProxyAnswers().Tell(answer).Backend != attack.Unattributed:
			return nil
		case res.Status >= 500:
			errs++
		default:
			answers++
			seen = fmt.Sprintf("status %d and the body %s", res.Status,
				untrusted.Cut(untrusted.Safe(strings.Join(strings.Fields(string(body)), " ")), shownBody))
		}
	}
	switch {
	case answers > 0 && silent < directProbes:
		return &SignatureError{
			Why: fmt.Sprintf("no rule of --classify fits any of %d answers, the last with %s", answers, seen),
		}
	case silent == directProbes && answers+errs == 0:
		return fmt.Errorf("%s does not answer: none of %d requests had an answer, the last: %s; mend it, or send all the "+
			"same with --keep-going", untrusted.Safe(r.m.Plan.URL), silent, seen)
	}
	return nil // what half of it answers is for the burst to show
}

// recognise takes the rules that were learned. Where there are none, a proxy that can be asked is offered instead.
func (r *run) recognise(l *learner) (err error) {
	if r.m.CountedBy == record.CountedByProxy {
		r.m.Signatures = map[string]string{}
		for _, w := range r.m.Weights {
			r.m.Signatures[w.Backend] = "counted by the client's proxy"
		}
		return nil
	}
	r.m.Plan.Rules, r.m.Signatures, err = l.rules()
	unknown, ok := errors.AsType[*SignatureError](err)
	if ok && r.m.Kind == report.KindSplit && r.cfg.Witness != witness.Off {
		_, _, none := witness.Locate(r.cfg.Witness, *r.m.Before)
		unknown.Proxy = none == nil
	}
	return err
}

// learner finds out how answers are told apart.
type learner struct {
	snap law.Snapshot
	plan attack.Plan // whose requests the probes are like

	owners map[string]int // pod to backend; attack.Unattributed: several have a pod of that name
	probes []probe
	failed map[int]string   // why a probe of a backend gave nothing; of the root under attack.Unattributed
	seen   preflight.Probed // every answer as it came, as a check with --probe has them, less the proxy's counters
}

// probe is one answer and who is known to have given it.
type probe struct {
	backend int               // index, or attack.Unattributed
	direct  bool              // the backend was asked by itself
	fields  map[string]string // by place, see ruleAt
}

// probe asks every backend that can be asked by itself, then the root until it has seen every backend.
func (l *learner) probe(ctx context.Context, f fetcher) error {
	l.owners, l.failed = owners(l.snap.Backends), map[int]string{}
	l.seen = preflight.Probed{
		URL: l.plan.URL, Direct: map[string][]preflight.Answer{},
		Path: preflight.PathSeen{Why: "the second witness reads them around the burst"},
	}
	for i, b := range l.snap.Backends {
		if b.IsRoot || b.Subset != "" || b.ProxyStatus != 0 { // cannot be dialled without a draw, or is not there
			continue
		}
		for range directProbes {
			answer, err := l.ask(ctx, f, directURL(l.plan.URL, b, l.snap), i)
			if err != nil {
				return err
			}
			l.seen.Direct[b.Name] = append(l.seen.Direct[b.Name], answer)
		}
	}
	for n := range rootProbes {
		if n >= directProbes && (l.seenAll() || !slices.ContainsFunc(l.seen.Root, isAnswer)) {
			break
		}
		answer, err := l.ask(ctx, f, l.plan.URL, attack.Unattributed)
		if err != nil {
			return err
		}
		l.seen.Root = append(l.seen.Root, answer)
	}
	return nil
}

func isAnswer(a preflight.Answer) bool { return a.Status != 0 }

func (l *learner) ask(ctx context.Context, f fetcher, target string, backend int) (preflight.Answer, error) {
	res, body, err := f.Fetch(ctx, fetchLike(l.plan, target))
	if err != nil {
		return preflight.Answer{}, err
	}
	call := l.plan.Protocol == attack.ProtocolGRPC
	fields := topFields(body)
	if call {
		fields = protoFields(body)
	}
	if (len(fields) == 0 || res.Status >= 500) && l.failed[backend] == "" {
		l.failed[backend] = describe(res, len(body), call)
	}
	maps.Copy(fields, headerFields(res.Header))
	if len(fields) > 0 && res.Status > 0 && res.Status < 500 {
		l.probes = append(l.probes, probe{backend: backend, direct: backend >= 0, fields: fields})
	}
	return answerOf(res, body), nil
}

// fetchLike fetches a URL by a request like the plan's.
func fetchLike(p attack.Plan, url string) wire.FetchRequest {
	like := p.Request()
	like.URL, like.Header = "", nil
	return wire.FetchRequest{URL: url, Header: p.Header, Like: &like, TimeoutMs: probeTimeout, MaxBytes: probeBytes}
}

// describe says what came in place of an answer that can be recognised.
func describe(res wire.FetchResult, body int, call bool) string {
	switch {
	case res.Class == attack.ErrEmpty.String():
		return "it closed the connection without an answer (empty reply), as a gateway does to a client outside the mesh"
	case res.Error != "":
		return brief(res.Error)
	}
	s := fmt.Sprintf("it answered with status %d and %d bytes that are no JSON object", res.Status, body)
	if call {
		s = fmt.Sprintf("it answered the call with status %d and a message of %d bytes that holds no text "+
			"(--grpc-method names another call)", res.Status, body)
	}
	if e := res.Header["L5d-Proxy-Error"]; len(e) > 0 {
		s += " (proxy: " + brief(e[0]) + ")"
	}
	return s
}

// brief bounds foreign text so that the sentence around it can still say what to do.
func brief(s string) string {
	return untrusted.Cut(untrusted.Safe(strings.ReplaceAll(s, "\n", "; ")), 200)
}

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
		} else {
			seen[l.podOf(p.fields[pointer])] = true
		}
	}
	for i, b := range l.snap.Backends {
		if b.Weight > 0 && b.ProxyStatus == 0 && !seen[i] {
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
	name, ns := b.Service.Name, b.Service.Namespace
	if !b.Service.Found {
		name, ns = b.Name, s.Root.Namespace
	}
	host := name
	if s.Source.Namespace != ns {
		host += "." + ns
	}
	given := u.Hostname()
	_, rest, dotted := strings.Cut(given, ".")
	if dotted && ns == s.Root.Namespace && given != s.Root.ClusterIP && names(given, s.Root, s) {
		host = name + "." + rest
	}
	u.Host = host + ":" + strconv.Itoa(int(cmp.Or(b.Port, s.Port)))
	return u.String()
}

// fetcher gets one URL from the source pod.
type fetcher interface {
	Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error)
}

// clockedFetcher is a fetcher that learns about the pod's clock, and says that it waits.
type clockedFetcher struct {
	fetcher
	clock *record.Clock
	say   func(text string)
}

// Fetch implements fetcher.
func (c clockedFetcher) Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	began := time.Now()
	slow := time.AfterFunc(time.Second, func() { c.say("no answer for a second: " + untrusted.Safe(q.URL)) })
	defer slow.Stop()
	res, body, err := c.fetcher.Fetch(ctx, q)
	if err == nil && res.UnixNs > 0 {
		c.clock.See(began, time.Now(), res.UnixNs)
	}
	return res, body, err
}
