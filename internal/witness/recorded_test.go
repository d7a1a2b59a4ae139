package witness

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/law"
)

// recorded is the text of a page of testdata/recorded.
func recorded(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "recorded", name+".prom.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// between is what happened between two pages, "" being that of a proxy that has counted nothing yet.
func between(t *testing.T, before, after string) (Delta, error) {
	t.Helper()
	target := walkthrough()
	b, err1 := Parse(strings.NewReader(before), Linkerd, target)
	a, err2 := Parse(strings.NewReader(after), Linkerd, target)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return Compare(b, a, target, 10*time.Second)
}

// TestRecordedPages reads real pages as what one proxy did since it was started. The numbers are those of the pages,
// each read there by eye: balancer_queue_requests by parent and backend, route_actual_request less route_request.
func TestRecordedPages(t *testing.T) {
	for _, tt := range []struct {
		page           string
		expect         law.Path
		draws, streams []int64
		direct         []int64 // to podinfo-east's own Service, by other containers
		retries        int64
		path           law.Path
		taken          int64
		counter        string
		findings       string
	}{
		{
			page: "1-serviceprofile-split-frontend", expect: law.PathServiceProfile, draws: []int64{1478, 1570}, direct: []int64{0, 28},
			path: law.PathServiceProfile, taken: 3048, counter: counterQueue,
		},
		{
			page: "2-httproute-split-frontend", expect: law.PathHTTPRoute, draws: []int64{1057, 1038}, direct: []int64{0, 17},
			path: law.PathHTTPRoute, taken: 2095, counter: counterRoute,
		},
		{ // its podinfo is that of its own cluster: 807 of them and one that went nowhere are for port 9999
			page: "3-gateway-east", expect: "", draws: []int64{90222, 0}, direct: []int64{0, 0},
			path: law.PathServiceProfile, taken: 89414, counter: counterQueue,
		},
		{
			page: "5-opaque-port-frontend", expect: law.PathServiceProfile, streams: []int64{3093, 3055}, direct: []int64{0, 49},
			path: PathConnections, taken: 6148, findings: "per-connection:unitconnection",
		},
		{
			page: "x-retries", expect: law.PathServiceProfile, draws: []int64{13988, 9373}, direct: []int64{0, 319}, retries: 687,
			path: law.PathServiceProfile, taken: 22674, counter: counterQueue, findings: "retries:unitdraw",
		},
	} {
		t.Run(tt.page, func(t *testing.T) {
			target := walkthrough()
			d, err := between(t, "", recorded(t, tt.page))
			if err != nil {
				t.Fatal(err)
			}
			if x := cmp.Diff([][]int64{tt.draws, tt.streams, tt.direct}, [][]int64{d.Draws, d.Streams, d.Direct}); x != "" {
				t.Errorf("draws, connections, direct: %s", x)
			}
			if d.Retries != tt.retries || d.Path != tt.path || d.Paths[tt.path] != tt.taken || d.Counter != tt.counter ||
				d.Unsure != "" || d.Restarted != "" || d.Other != 0 {
				t.Errorf("%+v", d)
			}
			if got := codes(d.Findings(target, tt.expect, tt.taken)); got != tt.findings {
				t.Errorf("findings %q, want %q", got, tt.findings)
			}
			// What the client sent is all that was drawn less what was drawn again, and nobody else's is among it.
			if a := d.Agree(target, d.Drawn(), sum(d.Drawn())-tt.retries); a != (Agreement{}) {
				t.Errorf("%+v", a)
			}
		})
	}
	if d, err := between(t, "", recorded(t, "4-backend-podinfo-east")); !errors.Is(err, ErrNoCounters) {
		t.Errorf("the backend's page: %+v, %v", d, err)
	}
}

// A proxy that still obeys what it looked up before is told on every path, the one of connections too.
func TestRecordedPagesOfAStalePath(t *testing.T) {
	for _, tt := range []struct {
		page   string
		expect law.Path
		say    string
	}{
		{"1-serviceprofile-split-frontend", law.PathHTTPRoute, "3048 of its requests to test/podinfo took the rules of a ServiceProfile"},
		{"1-serviceprofile-split-frontend", law.PathDefault, "cached when an object ruled that does so no more"},
		{"2-httproute-split-frontend", law.PathServiceProfile, "2095 of its requests to test/podinfo took the rules of a HTTPRoute"},
		{"5-opaque-port-frontend", law.PathTCPRoute, "6148 of its connections to test/podinfo took the rules of a ServiceProfile"},
	} {
		d, err := between(t, "", recorded(t, tt.page))
		if err != nil {
			t.Fatal(err)
		}
		fs := d.Findings(walkthrough(), tt.expect, 1)
		if len(fs) == 0 || fs[0].Code != CodeStalePath || !strings.Contains(fs[0].Text, tt.say) {
			t.Errorf("%s, %s: %+v", tt.page, tt.expect, fs)
		}
	}
}

// Pages of other proxies, and pages that are damaged: what is not told is said, and nobody is accused. Draws are what is
// left to hold against the answers.
func TestPagesThatCannotTell(t *testing.T) {
	const queue = `outbound_http_balancer_queue_requests_total`
	profile := recorded(t, "1-serviceprofile-split-frontend")
	edit := func(text, pattern, with string) string {
		re := regexp.MustCompile(pattern)
		if !re.MatchString(text) {
			t.Fatalf("the page has no %s", pattern)
		}
		return re.ReplaceAllString(text, with)
	}
	twice := func(text, pattern, with string) string {
		return text + edit(regexp.MustCompile(pattern).FindString(text)+"\n", pattern, with)
	}
	east := `(?m)^(` + queue + `\{[^\n]*parent_name="podinfo",[^\n]*backend_name="podinfo-east"[^\n]*\}) 1570$`
	for _, tt := range []struct {
		name, before, after string
		draws               []int64
		say                 string // of Unsure, Restarted or Blurred
	}{
		{"a counter that went back", profile, edit(profile, east, "$1 12"), nil, "a counter went back although the proxy was not restarted"},
		{"a counter that is gone", profile, edit(profile, east, "#"), nil, "a counter is not there any more"},
		{
			"counters that went back after a restart", profile,
			edit(edit(edit(profile, east, "$1 12"), `(?m)^process_uptime_seconds_total .*`, "#"), `(?m)^(process_start_time_seconds) .*`, "$1 1795887990"),
			[]int64{0, 12},
			"the one that was asked after the burst was started at",
		},
		{
			"a clock that was set", edit(profile, `(?m)^(process_uptime_seconds_total) .*`, "$1 20.5"),
			edit(edit(profile, `(?m)^(process_uptime_seconds_total) .*`, "$1 30.7"), `(?m)^(process_start_time_seconds) .*`, "$1 1795880000"),
			[]int64{0, 0},
			"",
		},
		{"no namespace of the parent", "", edit(profile, `parent_namespace="test",`, ""), nil, "lack the labels"},
		{"no name of the parent", "", edit(profile, `parent_name="[^"]*",`, ""), nil, "lack the labels"},
		{"no namespace of the backend", "", edit(profile, `,backend_namespace="test"`, ""), nil, "lack the labels"},
		{"no name of the backend", "", edit(profile, `,backend_name="podinfo-east"`, ""), nil, "lack the labels"},
		{"a label twice", "", edit(profile, `(`+queue+`\{)`, `$1parent_name="podinfo",`), nil, "could not be read"},
		{"a series twice", "", twice(profile, east, "$1 1570"), nil, "more than once"},
		{"a series twice in another order", "", twice(profile, east, queue+`{backend_name="podinfo-east",parent_group="core",`+
			`parent_kind="Service",parent_namespace="test",parent_name="podinfo",parent_port="9898",parent_section_name="",`+
			`backend_group="core",backend_kind="Service",backend_namespace="test",backend_port="9898",backend_section_name=""} 9`), nil, "more than once"},
		{"numbers that are none", "", edit(profile, east, "$1 NaN"), nil, "could not be read"},
		{ // 1598 requests to endpoints of podinfo-east, 28 of which were for its own Service: this proxy cannot say so
			"a proxy without counters of its queues", "", edit(profile, `(?m)^outbound_.*\n`, ""),
			[]int64{1478, 1598},
			"the proxy is old",
		},
		{"a proxy with other names", "", edit(profile, `(?m)^(outbound|route|request|response)`, "l5d_$1"), nil, ""},
		{"a proxy with more labels", "", edit(profile, `parent_group="core"`, `zone="a",parent_group="core"`), []int64{1478, 1570}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := between(t, tt.before, tt.after)
			if err != nil && !errors.Is(err, ErrNoCounters) {
				t.Fatal(err)
			}
			if x := cmp.Diff(tt.draws, d.Draws); x != "" {
				t.Error(x)
			}
			if said := d.Unsure + d.Restarted + d.Blurred; (tt.say == "") != (said == "") || !strings.Contains(said, tt.say) {
				t.Errorf("said %q, want %q", said, tt.say)
			}
			for _, f := range d.Findings(walkthrough(), law.PathServiceProfile, 3048) {
				if f.Effect == Invalid && f.Code != CodeRestarted {
					t.Errorf("it accuses: %+v", f)
				}
			}
			if a := d.Agree(walkthrough(), []int64{1478, 1570}, 3048); a.Disagrees != "" && d.Restarted == "" && tt.before == "" {
				t.Errorf("it accuses: %+v", a)
			}
		})
	}
}

// Requests that two containers send through the split are drawn alike, and nothing tells them apart: what was not sent
// by this client is said to be of others. Those straight to a backend are told apart.
func TestTwoContainersOfAPod(t *testing.T) {
	d, err := between(t, "", recorded(t, "1-serviceprofile-split-frontend"))
	if err != nil {
		t.Fatal(err)
	}
	if a := d.Agree(walkthrough(), []int64{980, 1020}, 2000); a != (Agreement{Background: 1048}) || d.Direct[1] != 28 {
		t.Errorf("%+v, direct %d", a, d.Direct)
	}
	// Retries are no traffic of others.
	if d, err = between(t, "", recorded(t, "x-retries")); err != nil {
		t.Fatal(err)
	}
	if a := d.Agree(walkthrough(), []int64{13000, 9000}, 22674); a != (Agreement{}) {
		t.Errorf("%+v", a)
	}
}

// What the agent keeps of a page says the same as the whole of it.
func TestKeepLosesNothingOfRecordedPages(t *testing.T) {
	target := walkthrough()
	files, err := filepath.Glob("testdata/recorded/*.gz")
	if err != nil || len(files) != 6 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text := recorded(t, strings.TrimSuffix(filepath.Base(file), ".prom.gz"))
		kept := keptOf([]byte(text), target.Keep(Linkerd))
		whole, err1 := Parse(strings.NewReader(text), Linkerd, target)
		part, err2 := Parse(bytes.NewReader(kept), Linkerd, target)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if x := cmp.Diff(whole, part); x != "" {
			t.Errorf("%s: the kept lines say something else:\n%s", file, x)
		}
		if len(kept) > len(text)/2 {
			t.Errorf("%s: %s of %s are kept", file, fmt.Sprint(len(kept)), fmt.Sprint(len(text)))
		}
	}
}
