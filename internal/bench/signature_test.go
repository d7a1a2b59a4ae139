package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/wire"
)

// answers gives what each host answers, one after the other; the last one stays.
type answers map[string][]string

func (a answers) Fetch(_ context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	host := strings.TrimPrefix(q.URL, "http://")
	host, _, _ = strings.Cut(host, ":")
	bodies := a[host]
	if len(bodies) == 0 {
		return wire.FetchResult{Class: "emptyReply", Error: "EOF"}, nil, nil
	}
	if len(bodies) > 1 {
		a[host] = bodies[1:]
	}
	status := http.StatusOK
	if strings.HasPrefix(bodies[0], "!") {
		status = http.StatusGatewayTimeout
	}
	return wire.FetchResult{Status: status, Class: "ok"}, []byte(strings.TrimPrefix(bodies[0], "!")), nil
}

func podinfoJSON(hostname, message string) string {
	b, err := json.Marshal(map[string]any{
		"hostname": hostname, "message": message, "version": "6.7.0", "num_cpu": "2",
		"n": 7,
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

var (
	west1 = podinfoJSON("podinfo-w1", "greetings from west")
	west2 = podinfoJSON("podinfo-w2", "greetings from west")
	east1 = podinfoJSON("podinfo-e1", "greetings from east")
	east2 = podinfoJSON("podinfo-e2", "greetings from east")
)

func TestSignatures(t *testing.T) {
	t.Parallel()
	pods := func(backend int, names ...string) attack.Rule {
		return attack.Rule{Backend: backend, Kind: attack.RuleJSON, Key: "/hostname", Values: names}
	}
	message := func(backend int, text string) attack.Rule {
		return attack.Rule{Backend: backend, Kind: attack.RuleJSON, Key: "/message", Values: []string{text}}
	}
	noRemote := func(s *law.Snapshot) { s.Backends[1].RemotePods = nil }
	tests := []struct {
		name    string
		answers answers
		change  func(*law.Snapshot)
		want    []attack.Rule
		err     string
	}{
		{
			"pods and messages are both known",
			answers{"podinfo-east": {east1, east2}, "podinfo": {east2, west1, west2}},
			nil,
			[]attack.Rule{
				pods(0, "podinfo-w1", "podinfo-w2"), pods(1, "podinfo-e1", "podinfo-e2"),
				message(0, "greetings from west"), message(1, "greetings from east"),
			},
			"",
		},
		{
			"without the other cluster's pods the message must do",
			answers{"podinfo-east": {east1}, "podinfo": {east1, west1, west2}},
			noRemote,
			[]attack.Rule{
				pods(0, "podinfo-w1", "podinfo-w2"), message(0, "greetings from west"),
				message(1, "greetings from east"),
			},
			"",
		},
		{
			"the same message everywhere: pods alone",
			answers{"podinfo-east": {podinfoJSON("podinfo-e1", "hi")}, "podinfo": {podinfoJSON("podinfo-w1", "hi")}},
			nil,
			[]attack.Rule{pods(0, "podinfo-w1", "podinfo-w2"), pods(1, "podinfo-e1", "podinfo-e2")},
			"",
		},
		{
			"no direct answer, but pods known",
			answers{"podinfo": {east1, west1}},
			nil,
			[]attack.Rule{
				pods(0, "podinfo-w1", "podinfo-w2"), pods(1, "podinfo-e1", "podinfo-e2"),
				message(0, "greetings from west"), message(1, "greetings from east"),
			},
			"",
		},
		{
			"the mirror leads back to this cluster",
			answers{"podinfo-east": {west1}, "podinfo": {west1}},
			nil, nil,
			"pod podinfo-w1 of backend podinfo answered",
		},
		{
			"shared pods",
			answers{},
			func(s *law.Snapshot) {
				s.Backends[1].Mirror, s.Backends[1].Endpoints = nil, []law.Endpoint{{Pod: "podinfo-w2"}}
			}, nil,
			"share pod podinfo-w2",
		},
		{
			"nothing tells them apart",
			answers{"podinfo-east": {`{"a":"x"}`}, "podinfo": {`{"a":"x"}`}},
			nil, nil,
			"--classify",
		},
		{
			"no JSON",
			answers{"podinfo-east": {"<html>"}, "podinfo": {"<html>"}},
			nil, nil,
			"status 200 and 6 bytes that are no JSON object",
		},
		{
			"the mirror is dead and its pods are not known",
			answers{"podinfo": {west1, west2}},
			noRemote, nil,
			"empty reply",
		},
		{
			"errors are no signature",
			answers{"podinfo-east": {`!{"hostname":"proxy","message":"down"}`}, "podinfo": {west1}},
			noRemote, nil,
			"status 504",
		},
		{
			"a canary of weight 0 without pods is no obstacle",
			answers{"podinfo": {west1}},
			func(s *law.Snapshot) {
				s.Backends[1] = law.Backend{Name: "podinfo-east", Port: 9898}
			},
			[]attack.Rule{pods(0, "podinfo-w1", "podinfo-w2"), message(0, "greetings from west")},
			"",
		},
		{
			"equal pod names in two clusters tell nothing, messages do",
			answers{"podinfo-east": {podinfoJSON("podinfo-w1", "greetings from east")}, "podinfo": {west1}},
			func(s *law.Snapshot) { s.Backends[1].RemotePods = []string{"podinfo-w1", "podinfo-w2"} },
			[]attack.Rule{message(0, "greetings from west"), message(1, "greetings from east")},
			"",
		},
		{
			"the client's proxy answers for one of them",
			answers{"podinfo-east": {east1}, "podinfo": {west1}},
			func(s *law.Snapshot) { s.Backends[1].ProxyStatus = 500 },
			[]attack.Rule{pods(0, "podinfo-w1", "podinfo-w2"), message(0, "greetings from west")},
			"",
		},
		{
			"the client's proxy answers for both alike",
			answers{"podinfo-east": {east1}, "podinfo": {west1}},
			func(s *law.Snapshot) { s.Backends[0].ProxyStatus, s.Backends[1].ProxyStatus = 500, 500 },
			nil, "answers for podinfo and for podinfo-east with status 500",
		},
		{
			"two ports of one Service",
			answers{"podinfo": {west1}},
			func(s *law.Snapshot) {
				s.Backends[0].Service.Found = true
				s.Backends[1] = s.Backends[0]
				s.Backends[0].Name, s.Backends[1].Name, s.Backends[1].Port = "podinfo:9898", "podinfo:9999", 9999
			},
			nil, "(podinfo:9999 is another port of the same Service: its pods answer for both)",
		},
		{
			"the root was never seen and its pods are not known",
			answers{"podinfo-east": {east1}, "podinfo": {east1}},
			func(s *law.Snapshot) { s.Backends[0].Endpoints = nil }, nil, "backend podinfo alone",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := walkthrough()
			if tt.change != nil {
				tt.change(&s)
			}
			l := learner{snap: s, plan: attack.Plan{URL: "http://podinfo:9898/"}}
			if err := l.probe(t.Context(), tt.answers); err != nil {
				t.Fatal(err)
			}
			rules, signatures, err := l.rules()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %+v, %v; want an error with %q", rules, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, rules); d != "" {
				t.Error(d)
			}
			if len(signatures) != 2 || signatures["podinfo"] == "" || signatures["podinfo-east"] == "" {
				t.Errorf("signatures: %v", signatures)
			}
		})
	}
}

// The probes stop as soon as every backend was seen: production is not asked more than needed.
func TestProbesAreFew(t *testing.T) {
	t.Parallel()
	l := learner{snap: walkthrough(), plan: attack.Plan{URL: "http://podinfo:9898/"}}
	if err := l.probe(t.Context(), answers{"podinfo-east": {east1}, "podinfo": {west1}}); err != nil {
		t.Fatal(err)
	}
	if len(l.probes) != 2*directProbes {
		t.Errorf("%d probes", len(l.probes))
	}
}

type brokenFetcher struct{ err error }

func (b brokenFetcher) Fetch(context.Context, wire.FetchRequest) (wire.FetchResult, []byte, error) {
	return wire.FetchResult{}, nil, b.err
}

func TestABrokenStreamEndsTheProbes(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	l := learner{snap: walkthrough(), plan: attack.Plan{URL: "http://podinfo:9898/"}}
	if err := l.probe(t.Context(), brokenFetcher{cut}); !errors.Is(err, cut) {
		t.Errorf("got %v", err)
	}
}
