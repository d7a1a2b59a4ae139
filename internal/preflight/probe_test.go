package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/law"
)

// pod is a Prober that answers as a script says: by URL, the answers in turn, the last one for ever.
type pod struct {
	answers map[string][]Answer
	asked   []Get
}

func (p *pod) Fetch(_ context.Context, q Get) (Answer, error) {
	p.asked = append(p.asked, q)
	list := p.answers[q.URL]
	if len(list) == 0 {
		return Answer{Error: "connection refused"}, nil
	}
	if len(list) > 1 {
		p.answers[q.URL] = list[1:]
	}
	return list[0], nil
}

func page(lines ...string) Answer {
	return Answer{Status: 200, Body: []byte(strings.Join(lines, "\n") + "\n")}
}

// Lines as linkerd2-proxy writes them; names and labels are those of linkerd/app/outbound/src/metrics.rs.
func profileLine(n int) string {
	return fmt.Sprintf(`route_request_total{direction="outbound",dst="podinfo.test.svc.cluster.local:9898",rt_route="x"} %d`, n)
}

func defaultLine(n int) string {
	return fmt.Sprintf(`outbound_http_route_backend_requests_total{parent_group="core",parent_kind="Service",parent_namespace="test",parent_name="podinfo",parent_port="9898",parent_section_name="",route_group="",route_kind="default",route_namespace="",route_name="http",backend_group="core",backend_kind="Service",backend_namespace="test",backend_name="podinfo",backend_port="9898",backend_section_name=""} %d`, n)
}

// tlsLine is of requests to a gateway; as in internal/witness/testdata.
func tlsLine(how, service string, n int) string {
	return fmt.Sprintf(`request_total{direction="outbound",authority="podinfo-east.test.svc.cluster.local:9898",target_addr="172.30.44.100:4143",target_ip="172.30.44.100",target_port="4143",tls=%q,dst_target_cluster="east",dst_target_service=%q,dst_target_service_namespace="test"} %d`, how, service, n)
}

const (
	readyURL   = "http://127.0.0.1:4191/ready"
	metricsURL = "http://127.0.0.1:4191/metrics"
	rootAt     = "http://podinfo:9898/"
	eastAt     = "http://podinfo-east:9898/"
)

func healthyPod() *pod {
	west := Answer{Status: 200, Body: []byte(`{"hostname":"w1"}`), RemoteAddr: "10.1.0.10:9898"}
	return &pod{answers: map[string][]Answer{
		readyURL:   {{Status: 200}},
		metricsURL: {page(profileLine(100)), page(profileLine(122), tlsLine("true", "podinfo", 7)), page(profileLine(122), tlsLine("true", "podinfo", 9))},
		rootAt:     {west},
		eastAt:     {{Status: 200, Body: []byte(`{"hostname":"e1"}`)}},
	}}
}

func TestProbeOfAHealthyPod(t *testing.T) {
	p := healthyPod()
	v := View{Snapshot: healthy()}
	got, err := Probe(t.Context(), v, "", p)
	if err != nil {
		t.Fatal(err)
	}
	v.Probed = got
	for _, r := range Run(v) {
		if r.Status != OK {
			t.Errorf("%+v", r)
		}
	}
	if len(got.Root) != rootProbes || len(got.Direct["podinfo-east"]) != directProbes || got.Path.Requests != 22 || got.TLS["east"] != "true" {
		t.Errorf("%+v", got)
	}
	for _, q := range p.asked {
		if q.MaxBytes <= 0 || q.URL == metricsURL && len(q.Keep) == 0 {
			t.Errorf("unbounded: %+v", q)
		}
	}
}

// The walkthrough's own trap: the profile says 50/50, and the proxy's counters grow on the default route.
func TestProbeFindsAStalePath(t *testing.T) {
	p := healthyPod()
	p.answers[metricsURL] = []Answer{page(profileLine(0), defaultLine(100)), page(profileLine(0), defaultLine(121))}
	v := View{Snapshot: healthy()}
	var err error
	if v.Probed, err = Probe(t.Context(), v, "", p); err != nil {
		t.Fatal(err)
	}
	r := result(t, Run(v), "SB001")
	if r.Status != Failed || !strings.Contains(r.Seen, "21 requests on the path default") || !strings.Contains(r.Hint, "rollout restart deploy/frontend") {
		t.Errorf("%+v", r)
	}
}

// A Service that nobody answers for is not asked twenty times, each as long as a timeout.
func TestProbeGivesUpOnADeadRoot(t *testing.T) {
	p := healthyPod()
	delete(p.answers, rootAt)
	got, err := Probe(t.Context(), View{Snapshot: healthy()}, "", p)
	if err != nil || len(got.Root) != directProbes {
		t.Errorf("%d probes, %v", len(got.Root), err)
	}
}

// How the proxy's requests to a gateway went is seen by what grew while it was asked: series of what was before live on for ten
// minutes, and other mirrors lead through the same gateway.
func TestTLSOfWhatWasAsked(t *testing.T) {
	for _, row := range []struct {
		name          string
		before, after []string
		want          string // of cluster east
	}{
		{"mutual", []string{tlsLine("true", "podinfo", 3)}, []string{tlsLine("true", "podinfo", 5)}, "true"},
		{"never before", nil, []string{tlsLine("true", "podinfo", 2)}, "true"},
		{"plain", []string{tlsLine("no_identity", "podinfo", 3)}, []string{tlsLine("no_identity", "podinfo", 5)}, "no_identity"},
		{"plain before it was mended", []string{tlsLine("no_identity", "podinfo", 3), tlsLine("true", "podinfo", 1)}, []string{tlsLine("no_identity", "podinfo", 3), tlsLine("true", "podinfo", 3)}, "true"},
		{"some of them plain", []string{tlsLine("no_identity", "podinfo", 3)}, []string{tlsLine("no_identity", "podinfo", 4), tlsLine("true", "podinfo", 1)}, "no_identity"},
		{"plain to another mirror", nil, []string{tlsLine("no_identity", "reviews", 8), tlsLine("true", "podinfo", 2)}, "true"},
		{"a proxy that was started again", []string{tlsLine("no_identity", "podinfo", 9)}, []string{tlsLine("no_identity", "podinfo", 2)}, "no_identity"},
		{"nothing asked", []string{tlsLine("no_identity", "podinfo", 3)}, []string{tlsLine("no_identity", "podinfo", 3)}, ""},
		{"hostile value", nil, []string{strings.Replace(tlsLine("no_identity", "podinfo", 2), "} 2", "} 2e", 1)}, ""},
	} {
		c := newCounters(View{Snapshot: healthy()})
		c.pages = []Answer{page(row.before...), page(row.before...), page(row.after...)}
		if got := c.tls()["east"]; got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	c := newCounters(View{Snapshot: healthy()})
	cut := page(tlsLine("no_identity", "podinfo", 5))
	cut.Truncated = true
	for name, pages := range map[string][]Answer{
		"one page": {page(tlsLine("no_identity", "podinfo", 3))}, "cut": {page(), cut}, "first one cut": {cut, page(tlsLine("true", "podinfo", 5))},
	} {
		c.pages = pages
		if got := c.tls(); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

type brokenPod struct{}

func (brokenPod) Fetch(context.Context, Get) (Answer, error) {
	return Answer{}, errors.New("exec: cut")
}

func TestProbeOfABrokenWay(t *testing.T) {
	if _, err := Probe(t.Context(), View{Snapshot: healthy()}, "", brokenPod{}); err == nil || err.Error() != "exec: cut" {
		t.Error(err)
	}
}

// Hostile pages: a label that is not closed, a page that is none, one that is cut.
func TestCountersOfHostilePages(t *testing.T) {
	for name, a := range map[string]Answer{
		"no page":    {Status: 200, Body: []byte("<html>")},
		"cut":        {Status: 200, Truncated: true, Body: []byte(profileLine(1))},
		"refused":    {Error: "connection refused"},
		"not closed": page(`request_total{dst_target_cluster="east`, `request_total{tls="true`),
	} {
		c := newCounters(View{Snapshot: healthy()})
		c.pages = []Answer{a, a}
		c.at = append(c.at, healthy().TakenAt, healthy().TakenAt)
		if p := c.path(); p.Known || p.Why == "" {
			t.Errorf("%s: %+v", name, p)
		}
		if tls := c.tls(); len(tls) != 0 {
			t.Errorf("%s: %v", name, tls)
		}
	}
}

func TestProbedURLs(t *testing.T) {
	v := View{Snapshot: healthy()}
	v.Source.Namespace = "web"
	if got := rootURL(v); got != "http://podinfo.test:9898/" {
		t.Error(got)
	}
	v.Backends[1].Port = 8080
	if got := backendURL("http://podinfo.test:9898/api?x=1", v, v.Backends[1]); got != "http://podinfo-east.test:8080/api?x=1" {
		t.Error(got)
	}
	if got := backendURL("://", v, law.Backend{}); got != "://" {
		t.Error(got)
	}
}
