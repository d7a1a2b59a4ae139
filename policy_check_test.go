package splitbench_test

import (
	"strings"
	"testing"
)

// A policy that cannot be violated guards nothing: each row is a file that must be refused, or one that must not.
func TestThePolicyBites(t *testing.T) {
	imports := func(paths ...string) string {
		return "package p\nimport (\n\t_ \"" + strings.Join(paths, "\"\n\t_ \"") + "\"\n)\n"
	}
	ours := func(room string) string { return imports(modulePath + "/" + room) }
	for _, tt := range []struct{ name, file, content, want string }{ // want: "" is no violation
		{"downwards", "internal/wire/x.go", ours("attack"), ""},
		{"upwards", "internal/wire/x.go", ours("internal/agent"), `internal/wire may not import internal/agent by the rule "attack < internal/wire"`},
		{"between leaves", "attack/x.go", ours("analyze"), `by the rule "NONE < analyze, attack,`},
		{"transitive is not direct", "internal/agent/x.go", ours("podexec"), "internal/agent may not import podexec"},
		{"room of a later issue", "internal/witness/x.go", ours("internal/law"), ""},
		{"bench wires", "internal/bench/x.go", ours("internal/curl"), ""},
		{"bench knows no demo", "internal/bench/x.go", ours("internal/demo"), `"every room above but internal/demo < internal/bench"`},
		{"bench knows nothing below its line", "internal/bench/x.go", ours("internal/serve"), "internal/bench may not import internal/serve"},
		{"command", "cmd/splitbench/x.go", ours("internal/demo"), ""},
		{"agent command", "cmd/splitbench-agent/x.go", ours("internal/store"), "cmd/splitbench-agent may not import internal/store"},
		{"command imports command", "cmd/splitbench/x.go", ours("cmd/splitbench-agent"), "cmd/splitbench may not import cmd/splitbench-agent"},
		{"unknown room", "internal/util/x.go", "package p\n", "room internal/util is in no line of roomPolicy"},
		{"unknown room below a known one", "attack/types/x.go", "package p\n", "room attack/types is in no line of roomPolicy"},
		{"import of an unknown room", "attack/x.go", ours("internal/util"), "attack may not import internal/util"},
		{"root package", "x.go", ours("attack"), "the root package holds no code"},
		{"test plays the other end", "internal/wire/x_test.go", ours("internal/agent"), ""},
		{"test imports a command", "internal/wire/x_test.go", ours("cmd/splitbench"), "tests may import any room but a command"},
		{"end-to-end test", "test/cluster/x.go", ours("internal/demo"), ""},

		{"standard library", "attack/x.go", imports("net/http", "os"), ""},
		{"vegeta in attack", "attack/x.go", imports("github.com/tsenart/vegeta/v12/lib"), ""},
		{"vegeta elsewhere", "internal/bench/x.go", imports("github.com/tsenart/vegeta/v12/lib"), "internal/bench may not use it by the rule"},
		{"vegeta's plot in a program", "internal/export/x.go", imports("github.com/tsenart/vegeta/v12/lib/plot"), `by the rule "github.com/tsenart/vegeta/v12/lib/plot < tests"`},
		{"vegeta's library in report", "internal/report/x.go", imports("github.com/tsenart/vegeta/v12/lib"), "internal/report may not use it"},
		{"gonum outside analyze", "internal/report/x.go", imports("gonum.org/v1/gonum/stat"), `by the rule "gonum.org/v1/gonum < analyze"`},
		{"remotecommand outside podexec", "internal/bench/x.go", imports("k8s.io/client-go/tools/remotecommand"), "internal/bench may not use it"},
		{"the longest rule decides", "internal/bench/x.go", imports("k8s.io/client-go/rest"), ""},
		{"dynamic client outside mesh", "internal/demo/x.go", imports("k8s.io/client-go/dynamic"), "internal/demo may not use it"},
		{"Kubernetes in the agent", "internal/agent/x.go", imports("k8s.io/apimachinery/pkg/util/wait"), "internal/agent may not use it"},
		{"Kubernetes in the agent's command", "cmd/splitbench-agent/x.go", imports("k8s.io/klog/v2"), "cmd/splitbench-agent may not use it"},
		{"Kubernetes in the store", "internal/store/x.go", imports("k8s.io/api/core/v1"), "internal/store may not use it"},
		{"test module in a program", "internal/report/x.go", imports("github.com/google/go-cmp/cmp"), `by the rule "github.com/google/go-cmp < tests"`},
		{"test module in a test", "internal/report/x_test.go", imports("github.com/google/go-cmp/cmp"), ""},
		{"unknown module", "cmd/splitbench/x.go", imports("github.com/spf13/viper"), "no line of modulePolicy names this module"},
		{"unknown module in a test", "attack/x_test.go", imports("github.com/stretchr/testify/assert"), "no line of modulePolicy names this module"},

		{"kubectl's libraries", "internal/mesh/x_test.go", imports("k8s.io/kubectl/pkg/describe"), `"k8s.io/kubectl < nobody"`},
		{"seedless numbers", "attack/x.go", imports("math/rand"), `attack may not use it by the rule "math/rand < nobody"`},
		{"seeded numbers", "attack/x.go", imports("math/rand/v2"), ""},
		{"files in analyze", "analyze/x.go", imports("os/exec"), `analyze -> os/exec: forbidden by the rule "analyze cannot reach os, net"`},
		{"random numbers in a test", "analyze/x_test.go", imports("math/rand/v2"), ""},

		{"group in mesh", "internal/mesh/x.go", "package p\nvar g = \"split.smi-spec.io\"\n", ""},
		{"group elsewhere", "internal/bench/x.go", "package p\nvar g = \"split.smi-spec.io/v1alpha2\"\n", "internal/bench may not name split.smi-spec.io"},
		{"Istio's group in law", "internal/law/x.go", "package p\nvar g = \"networking.istio.io\"\n", ""},
		{"Istio's group in mesh", "internal/mesh/x.go", "package p\nvar g = \"networking.istio.io\"\n", "internal/mesh may not name istio.io"},
		{"Traefik's group in bench", "internal/bench/x.go", "package p\nvar g = \"traefik.io/v1alpha1\"\n", "internal/bench may not name traefik.io"},
		{"label elsewhere", "cmd/splitbench/x.go", "package p\nvar g = \"mirror.linkerd.io/exported\"\n", "cmd/splitbench may not name linkerd.io"},
		{"comment", "internal/bench/x.go", "package p\n// split.smi-spec.io is the group.\n", ""},
		{"link", "internal/bench/x.go", "package p\nvar g = \"see https://linkerd.io/docs\"\n", ""},
		{"hint", "internal/preflight/x.go", "package p\nfunc f() string { return \"label it mirror.linkerd.io/exported=true\" }\n", ""},
		{"hint that decides", "internal/preflight/x.go", "package p\nfunc f(m map[string]string) string { return m[\"linkerd.io/inject\"] }\n", "may say linkerd.io"},
		{"hint that compares", "internal/preflight/x.go", "package p\nfunc f(s string) bool { return s == \"linkerd.io\" }\n", "not decide by it"},
		{"hint that searches", "internal/preflight/x.go", "package p\nimport \"strings\"\nfunc f(s string) bool { return strings.Contains(s, \"linkerd.io\") }\n", "not decide by it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSource(tt.file, tt.content)
			if err != nil {
				t.Fatal(err)
			}
			violations := mustPolicy(t).check([]source{s})
			switch {
			case tt.want == "" && len(violations) > 0:
				t.Errorf("refused: %q", violations)
			case tt.want != "" && len(violations) != 1:
				t.Errorf("%d violations, want 1: %q", len(violations), violations)
			case tt.want != "" && (!strings.Contains(violations[0], tt.want) || !strings.Contains(violations[0], "policy, not a switch")):
				t.Errorf("got %q, want %q in it", violations[0], tt.want)
			}
		})
	}
}

// A room is held to what those that it imports do.
func TestReachGoesThroughOtherRooms(t *testing.T) {
	file := func(name string, imported ...string) source {
		s, err := parseSource(name, "package p\nimport (\n\t_ \""+strings.Join(imported, "\"\n\t_ \"")+"\"\n)\n")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p := policy{reach: []reach{{room: "a", banned: []string{"net"}, line: "a cannot reach net"}}}
	way := []source{file("a/x.go", "fmt", modulePath+"/b"), file("b/x.go", modulePath+"/c"), file("c/x_test.go", "net/http")}
	if v := p.checkReach(way); len(v) != 0 {
		t.Errorf("refused for what a test imports: %q", v)
	}
	v := p.checkReach(append(way, file("c/x.go", "network", "net/http")))
	if len(v) != 1 || !strings.HasPrefix(v[0], "a -> b -> c -> net/http: forbidden by the rule \"a cannot reach net\"") {
		t.Errorf("%q", v)
	}
}

func TestAPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no sign":         "attack, internal/wire",
		"room of no line": "NONE < attack\nanalyze < internal/wire",
		"two lines":       "NONE < attack\nNONE < attack",
	} {
		if _, err := parseRooms(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := parseReach("analyze ! os"); err == nil {
		t.Error("a reach line without its words: accepted")
	}
	if _, err := parseTable("gonum.org/v1/gonum analyze"); err == nil {
		t.Error("a module line without a sign: accepted")
	}
}
