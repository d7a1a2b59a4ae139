package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/law"
)

// walkthrough is the split of the multicluster walkthrough.
func walkthrough() Target {
	return Target{Namespace: "test", Root: "podinfo", Port: 9898, Leaves: []Leaf{
		{Name: "podinfo", Namespace: "test", Service: "podinfo", Port: 9898, Weight: 50},
		{
			Name: "podinfo-east", Namespace: "test", Service: "podinfo-east", Port: 9898, Weight: 50,
			Cluster: "east", RemoteNamespace: "test", RemoteService: "podinfo",
		},
	}}
}

func page(t *testing.T, name string, k Kind, target Target, edit ...string) Page {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i+1 < len(edit); i += 2 {
		if !strings.Contains(text, edit[i]) {
			t.Fatalf("%s has no %q", name, edit[i])
		}
		text = strings.ReplaceAll(text, edit[i], edit[i+1])
	}
	p, err := Parse(strings.NewReader(text), k, target)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func codes(fs []Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s:%s%s", f.Code, f.Effect, f.Unit))
	}
	return strings.Join(out, " ")
}

// Pages of both paths, of an old proxy and of an opaque port, with the names and labels that linkerd2-proxy gives (registry
// prefix outbound; linkerd/app/outbound/src/metrics.rs); the numbers are made up. Edits are made to the later page.
func TestLinkerdPages(t *testing.T) {
	const restart = "1764092000.12"
	for _, tt := range []struct {
		name, pages string
		edit        []string
		both        bool // of the earlier page too
		expect      law.Path
		sent        int64
		draws       []int64
		streams     []int64
		counter     string
		path        law.Path
		findings    string
	}{
		{
			name: "profile path", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile,
		},
		{
			name: "route's path", pages: "linkerd-httproute", expect: law.PathHTTPRoute, sent: 2005,
			draws: []int64{1700, 310}, counter: counterRoute, path: law.PathHTTPRoute,
		},
		{
			name: "old proxy", pages: "linkerd-old", expect: law.PathServiceProfile, sent: 1990,
			draws: []int64{1000, 1000}, counter: counterLegacy, path: law.PathServiceProfile, // five of the draws of east are to its own Service
		},
		{
			name: "opaque port", pages: "linkerd-opaque", expect: law.PathServiceProfile, sent: 1000,
			streams: []int64{64, 64}, path: PathConnections, findings: "per-connection:unitconnection",
		},
		{
			name: "names without _total", pages: "linkerd-profile", edit: []string{"requests_total", "requests"},
			expect: law.PathServiceProfile, sent: 5020, draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile,
		},
		{
			name: "a level more in the names", pages: "linkerd-profile",
			edit:   []string{"outbound_http_balancer_queue_requests", "outbound_http_concrete_balancer_queue_requests"},
			expect: law.PathServiceProfile, sent: 5020, draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile,
		},
		{
			name: "the cached default route", pages: "linkerd-stale", expect: law.PathServiceProfile, sent: 20,
			draws: []int64{25, 0}, counter: counterQueue, path: law.PathDefault, findings: "stale-path:invalid",
		},
		{
			name: "the cached default route in place of an HTTPRoute", pages: "linkerd-stale", expect: law.PathHTTPRoute, sent: 20,
			draws: []int64{25, 0}, counter: counterQueue, path: law.PathDefault, findings: "stale-path:invalid",
		},
		{
			name: "a deleted profile that is still obeyed", pages: "linkerd-profile", expect: law.PathHTTPRoute, sent: 5020,
			draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile, findings: "stale-path:invalid",
		},
		{
			name: "a gate that shut", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			edit:  []string{`backend_name="podinfo-east",backend_port="9898",backend_section_name=""} 0` + "\n# TYPE", `backend_name="podinfo-east",backend_port="9898",backend_section_name=""} 2` + "\n# TYPE"},
			draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile, findings: "redistributed:invalid",
		},
		{
			name: "a gate that is shut now", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			edit: []string{`section_name=""} 0.0`, `section_name=""} 4.2`}, draws: []int64{2512, 2513}, counter: counterQueue,
			path: law.PathServiceProfile, findings: "redistributed:invalid",
		},
		{
			name: "no ready endpoint", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			edit:  []string{`endpoint_state="ready"} 1`, `endpoint_state="ready"} 0`},
			draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile, findings: "redistributed:invalid",
		},
		{
			name: "retries", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			edit:  []string{"route_actual_request_total{direction=\"outbound\",dst=\"podinfo.test.svc.cluster.local:9898\"} 7405", "route_actual_request_total{direction=\"outbound\",dst=\"podinfo.test.svc.cluster.local:9898\"} 7425"},
			draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile, findings: "retries:unitdraw",
		},
		{
			name: "a restart by its time", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 5020,
			edit: []string{restart, "1764092600.5"}, draws: []int64{2512, 2513}, counter: counterQueue, path: law.PathServiceProfile,
			findings: "proxy-restarted:invalid",
		},
		{
			name: "a restart by its counters", pages: "linkerd-profile", expect: law.PathServiceProfile, sent: 900,
			edit:  []string{"} 3712", "} 500", "} 3693", "} 480", "process_start_time_seconds", "unknown", "} 7405", "} 980"},
			draws: []int64{500, 480}, counter: counterQueue, path: law.PathServiceProfile, findings: "proxy-restarted:invalid",
		},
		{
			name: "a backend of other rules", pages: "linkerd-profile", both: true, expect: law.PathServiceProfile, sent: 5020,
			edit: []string{`backend_name="podinfo-east"`, `backend_name="podinfo-north"`}, draws: []int64{2512, 0},
			counter: counterQueue, path: law.PathServiceProfile, findings: "foreign-backend:invalid",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := walkthrough()
			before := page(t, tt.pages+".before.txt", Linkerd, target)
			if tt.both {
				before = page(t, tt.pages+".before.txt", Linkerd, target, tt.edit...)
			}
			after := page(t, tt.pages+".after.txt", Linkerd, target, tt.edit...)
			d, err := Compare(before, after, target, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.draws
			if tt.name == "old proxy" {
				want = []int64{1000, 1000}
			}
			if x := cmp.Diff(want, d.Draws); x != "" {
				t.Error(x)
			}
			if tt.streams != nil {
				if x := cmp.Diff(tt.streams, d.Streams); x != "" {
					t.Error(x)
				}
			}
			if d.Counter != tt.counter || d.Path != tt.path {
				t.Errorf("counter %q, path %q; want %q, %q", d.Counter, d.Path, tt.counter, tt.path)
			}
			fs := d.Findings(target, tt.expect, tt.sent)
			if got := codes(fs); got != tt.findings {
				t.Errorf("findings %q, want %q: %v", got, tt.findings, fs)
			}
			for _, f := range fs {
				if f.Text == "" || strings.HasSuffix(f.Text, ".") {
					t.Errorf("finding %s says %q", f.Code, f.Text)
				}
			}
		})
	}
}

// The page of a real Envoy 1.40.0 after 1,000 requests over three clusters of weights 70, 20 and 10: the second answered 500
// and was asked again each time, the third has no hosts. Both of its formats say the same.
func TestEnvoyPages(t *testing.T) {
	target := walkthrough()
	target.Leaves = append(target.Leaves, Leaf{Name: "dead", Namespace: "test", Service: "dead", Port: 9898, Weight: 10})
	none, err := Parse(strings.NewReader(""), Envoy, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"envoy-1.40.0.stats.txt", "envoy-1.40.0.prometheus.txt"} {
		d, err := Compare(none, page(t, file, Envoy, target), target, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if x := cmp.Diff([]int64{695, 211, 94}, d.Draws); x != "" {
			t.Errorf("%s: %s", file, x)
		}
		// Envoy gives the share of a cluster without hosts to nobody, and asks the same cluster again.
		if got := codes(d.Findings(target, "", 1000)); got != "unready-backend:note retries:note" {
			t.Errorf("%s: findings %q", file, got)
		}
	}
}

func TestEnvoyClusterNames(t *testing.T) {
	target := walkthrough()
	target.Leaves[1].Subset = "v2"
	for name, want := range map[string]int{
		"podinfo": 0, "podinfo.test": 0, "test/podinfo": 0, "test/podinfo:9898": 0,
		"outbound|9898||podinfo.test.svc.cluster.local": 0, "outbound|9898||podinfo.test.svc.cluster.local;": 0,
		"outbound|9898|v2|podinfo-east.test.svc.cluster.local": 1, "outbound|9898||podinfo-east.test.svc.cluster.local": -1,
		"outbound|80||podinfo.test.svc.cluster.local": -1, "podinfo.prod": -1, "podinfo-canary": -1, "": -1, "podinfo.external": -1,
		"inbound|9898||": -1,
	} {
		if got := target.envoyLeaf(name); got != want {
			t.Errorf("cluster %q is leaf %d, want %d", name, got, want)
		}
	}
}

func TestEnvoyRestart(t *testing.T) {
	up := func(n int64) Page { return Page{Uptime: Count{n, true}} }
	for _, tt := range []struct {
		before, after int64
		elapsed       time.Duration
		restarted     bool
		same          bool
	}{
		{100, 110, 10 * time.Second, false, true},
		{100, 105, 10 * time.Second, false, true}, // renewed every five seconds only
		{100, 3, 10 * time.Second, true, false},
		{2, 5, 60 * time.Second, true, false},
		{3, 4, 5 * time.Second, false, false}, // so young that it may have been started in between
	} {
		got, same := restarted(up(tt.before), up(tt.after), tt.elapsed)
		if (got != "") != tt.restarted || same != tt.same {
			t.Errorf("%+v: %q, the same %t", tt, got, same)
		}
	}
}

func TestAgreement(t *testing.T) {
	target := walkthrough()
	d := Delta{Draws: []int64{110, 105}}
	if a := d.Agree(target, []int64{100, 95}, 200); a != (Agreement{Background: 15}) {
		t.Errorf("%+v", a)
	}
	if a := d.Agree(target, []int64{90, 106}, 200); !strings.Contains(a.Disagrees, "podinfo-east answered 106") {
		t.Errorf("%+v", a)
	}
}

// Counters that did not move while the client got answers contradict it.
func TestCountersThatStandStill(t *testing.T) {
	target := walkthrough()
	for _, file := range []string{"linkerd-profile.before.txt", "linkerd-httproute.before.txt", "envoy-1.40.0.stats.txt"} {
		k := Linkerd
		if strings.Contains(file, "envoy") {
			k = Envoy
		}
		p := page(t, file, k, target)
		d, err := Compare(p, p, target, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if a := d.Agree(target, []int64{1, 0}, 1); a.Disagrees == "" || d.PerConnection() {
			t.Errorf("%s: %+v", file, d)
		}
	}
}

func TestPagesThatSayNothing(t *testing.T) {
	target := walkthrough()
	for _, text := range []string{"", "# TYPE up gauge\nup 1\n", "process_start_time_seconds 5\n"} {
		p, err := Parse(strings.NewReader(text), Linkerd, target)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := Compare(p, p, target, time.Second); !errors.Is(err, ErrNoCounters) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Parse(strings.NewReader("<html>\n<body>404</body>\n"), Linkerd, target); err == nil {
		t.Error("a page of HTML is taken for counters")
	}
}

// What the agent is asked to keep of a page must be all that Parse reads from it.
func TestKeepLosesNothing(t *testing.T) {
	target := walkthrough()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		k := Linkerd
		if strings.Contains(file, "envoy") {
			k = Envoy
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kept := keptOf(b, target.Keep(k))
		whole, err1 := Parse(bytes.NewReader(b), k, target)
		part, err2 := Parse(bytes.NewReader(kept), k, target)
		if err1 != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", file, err1, err2)
		}
		if d := cmp.Diff(whole, part); d != "" {
			t.Errorf("%s: the kept lines say something else:\n%s", file, d)
		}
	}
}

// keptOf are the lines that hold all words of one set.
func keptOf(page []byte, keep [][]string) (kept []byte) {
	for line := range bytes.Lines(page) {
		for _, set := range keep {
			all := true
			for _, w := range set {
				all = all && bytes.Contains(line, []byte(w))
			}
			if all {
				kept = append(kept, line...)
				break
			}
		}
	}
	return kept
}

// hugePage is a page of some size, made while it is read.
type hugePage struct {
	left int64
	n    int
	rest []byte
}

func (h *hugePage) Read(p []byte) (int, error) {
	if len(h.rest) == 0 {
		if h.left <= 0 {
			return 0, io.EOF
		}
		h.n++
		h.rest = fmt.Appendf(nil, `outbound_http_balancer_queue_requests_total{parent_group="core",parent_kind="Service",parent_namespace="test",`+
			`parent_name="podinfo",parent_port="9898",parent_section_name="%d",backend_group="core",backend_kind="Service",`+
			`backend_namespace="test",backend_name="podinfo%d",backend_port="9898",backend_section_name=""} 1`+"\n", h.n, h.n%7)
		h.left -= int64(len(h.rest))
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// A page of 50 MB, each line of which is of the split, is read in less than 64 MiB: measured as the most that the heap
// held while it was read, which the garbage collector's target lets be twice what is alive.
func TestAPageOf50MBStaysWithin64MiB(t *testing.T) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	start, most := m.HeapAlloc, uint64(0)
	in := &hugePage{left: 50_000_000}
	counted := 0
	p, err := Parse(readerFunc(func(b []byte) (int, error) {
		if counted++; counted%64 == 0 {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return in.Read(b)
	}), Linkerd, walkthrough())
	if err != nil {
		t.Fatal(err)
	}
	if p.Samples != in.n || p.Queue.Other.N != int64(in.n) {
		t.Errorf("%d samples and %d draws of %d lines", p.Samples, p.Queue.Other.N, in.n)
	}
	t.Logf("%d lines, most heap %d KiB above the start", in.n, (most-start)>>10)
	if most > start+64<<20 {
		t.Errorf("the heap grew by %d MiB", (most-start)>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A page that has no end and one of a single line without an end are given up.
func TestEndlessPages(t *testing.T) {
	zeros := readerFunc(func(b []byte) (int, error) { clear(b); return len(b), nil })
	if _, err := Parse(zeros, Linkerd, walkthrough()); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line without an end: %v", err)
	}
	if _, err := Parse(&hugePage{left: 1 << 40}, Linkerd, walkthrough()); !errors.Is(err, ErrTooLong) {
		t.Errorf("a page without an end: %v", err)
	}
}

func FuzzPage(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, strings.Contains(file, "envoy"))
	}
	f.Add([]byte(`outbound_http_balancer_queue_requests_total{parent_name="a\"b\\\n"} 1e300`), false)
	f.Add([]byte("cluster.podinfo.upstream_rq_total: -9223372036854775808\nserver.uptime: 99999999999999999999"), true)
	f.Fuzz(func(t *testing.T, b []byte, envoy bool) {
		k := Linkerd
		if envoy {
			k = Envoy
		}
		target := walkthrough()
		p, err := Parse(bytes.NewReader(b), k, target)
		if err != nil {
			return
		}
		for _, pair := range [][2]Page{{{}, p}, {p, p}} {
			before := pair[0]
			if before.Ready == nil {
				before, _ = Parse(strings.NewReader(""), k, target)
			}
			d, err := Compare(before, pair[1], target, time.Second)
			if err != nil {
				continue
			}
			for _, n := range append(append([]int64{d.Other, d.Retries}, d.Draws...), d.Streams...) {
				if n < 0 {
					t.Fatalf("a negative number of draws: %+v", d)
				}
			}
			d.Findings(target, law.PathServiceProfile, 10)
			d.Agree(target, []int64{1, 2}, 3)
		}
	})
}
