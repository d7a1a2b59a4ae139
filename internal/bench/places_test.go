package bench

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// What says when, how fast or for whom is no signature, however alike three answers are.
func TestHeadersThatMayTell(t *testing.T) {
	t.Parallel()
	got := headerFields(map[string][]string{
		"X-Served-By": {"podinfo-w1"}, "Server": {"nginx/1.27.0"}, "X-Version": {"v2"}, "X-Empty": {""},
		"Date": {"Sat, 28 Nov 2026 10:00:00 GMT"}, "Content-Type": {"application/grpc"}, "Grpc-Status": {"0"},
		"X-Envoy-Upstream-Service-Time": {"3"}, "X-Runtime": {"0.0031"}, "X-Took": {"12ms"}, "X-Request-Id": {"abc"},
		"Etag": {`"1"`}, "L5d-Proxy-Error": {"x"}, "X-Response-Time": {"fast"}, "Set-Cookie": {"a=b"},
	})
	want := []string{"header:Server", "header:X-Served-By", "header:X-Version"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Error(diff)
	}
}

// headed answers each host with a header and a body that says nothing.
type headed map[string]map[string][]string

func (h headed) Fetch(_ context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(q.URL, "http://"), ":")
	return wire.FetchResult{Status: 200, Class: "ok", Header: h[host]}, []byte("hello"), nil
}

func TestSignaturesInHeaders(t *testing.T) {
	t.Parallel()
	rule := func(backend int, key, value string) attack.Rule {
		return attack.Rule{Backend: backend, Kind: attack.RuleHeader, Key: key, Values: []string{value}}
	}
	for name, tt := range map[string]struct {
		answers headed
		want    []attack.Rule
		err     string
	}{
		"a text of its own": {
			headed{"podinfo": {"Server": {"west/1"}}, "podinfo-east": {"Server": {"east/1"}}},
			[]attack.Rule{rule(0, "Server", "west/1"), rule(1, "Server", "east/1")},
			"",
		},
		"the same text": {
			headed{"podinfo": {"Server": {"envoy"}}, "podinfo-east": {"Server": {"envoy"}}},
			nil, "5 bytes that are no JSON object",
		},
		"a number": {
			headed{"podinfo": {"X-Took": {"1ms"}}, "podinfo-east": {"X-Took": {"9ms"}}},
			nil, "5 bytes that are no JSON object",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := learner{snap: walkthrough(), plan: attack.Plan{URL: "http://podinfo:9898/"}}
			if err := l.probe(t.Context(), tt.answers); err != nil {
				t.Fatal(err)
			}
			rules, _, err := l.rules()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%+v, %v", rules, err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, rules); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}
