package splitbench_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tables of this file are policy: they say how the program is meant to hang together, and nothing else does:
// docs/design.md shows a copy of the first, which `make generate` writes. DO NOT EDIT THEM TO MAKE A BUILD PASS. Move the
// code instead; or, where the design itself must change, change it in a commit that says why.

// roomPolicy says who may import whom among our own packages. "a < b": b may import a. Only direct imports count, and
// what is not listed is forbidden. "every room" leaves out commands, which nobody can import. A package that no line
// names on the right may not exist. A line that ends in a comma goes on.
const roomPolicy = `
NONE < analyze, attack, podexec, internal/store, internal/agentbin, internal/chart, internal/untrusted, internal/nearest
attack < internal/wire
attack, internal/wire < internal/agent, internal/export
attack, internal/untrusted, internal/wire < internal/curl
internal/nearest, internal/untrusted < internal/law
internal/law, internal/untrusted < internal/told, internal/witness
internal/law, internal/nearest, internal/untrusted < internal/mesh
internal/agent, internal/agentbin, internal/law, internal/untrusted < internal/runner
internal/law, internal/untrusted, internal/witness < internal/preflight
analyze, attack, internal/chart, internal/law, internal/untrusted, internal/preflight,
internal/witness < internal/report
internal/chart, internal/report, internal/untrusted < internal/render
internal/agent < internal/demo, cmd/splitbench-agent
analyze, attack, internal/agent, internal/law, internal/preflight, internal/report, internal/store,
internal/untrusted, internal/wire, internal/witness < internal/record
analyze, attack, internal/agent, internal/curl, internal/export, internal/law, internal/preflight, internal/record,
internal/report, internal/store, internal/untrusted, internal/wire, internal/witness < internal/judge
every room above but internal/demo < internal/bench
internal/report, internal/render, internal/store, internal/export, internal/untrusted < internal/serve
internal/report, internal/untrusted < internal/telemetry
attack, internal/bench, internal/mesh, internal/report, internal/telemetry < internal/watches
internal/store < internal/registry
internal/store, internal/untrusted < internal/bucket
every room < cmd/splitbench
`

// Tests stand outside the building: a test file may import any room of ours but a command, whatever its own room may, since
// a test often has to play the other end. What lies below test/ counts as a test too.

// reachPolicy says what a room must not reach, directly or through other rooms of ours. A name stands for everything
// below it, too. What third-party packages import does not count: they have their own table.
const reachPolicy = `
analyze cannot reach os, net
internal/chart cannot reach os, net
internal/law cannot reach os, net/http, k8s.io/client-go
internal/judge cannot reach podexec, internal/mesh, k8s.io/client-go
internal/render cannot reach podexec, internal/mesh, k8s.io/client-go
`

// modulePolicy says which room may use which third-party package. The longest path that fits an import decides, and an
// import that none fits is forbidden: a new module needs its line here and its line in
// docs/adr/0001-third-party-modules.md. "tests" is for modules that no program contains, "nobody" for what is not used,
// tests included. Test files may import whatever else is listed. The standard library is free but for what is listed.
const modulePolicy = `
github.com/HdrHistogram/hdrhistogram-go < attack, internal/wire
github.com/aclements/go-moremath/scale < internal/chart
github.com/creack/pty < tests
github.com/go-logr/logr < cmd/splitbench
github.com/gofrs/flock < internal/store
github.com/google/go-cmp < tests
github.com/hiddeco/sshsig < internal/store
github.com/jstemmer/go-junit-report/v2/junit < internal/render
github.com/klauspost/compress < internal/agentbin
github.com/linkerd/linkerd2-proxy-api < internal/told
github.com/olekukonko/tablewriter < internal/render
github.com/opencontainers/go-digest < internal/registry
github.com/opencontainers/image-spec < internal/registry
github.com/parquet-go/parquet-go < internal/export
github.com/prometheus/client_golang < internal/telemetry
github.com/prometheus/client_model < tests
github.com/prometheus/common < tests
github.com/prometheus/common/expfmt < internal/telemetry
github.com/rogpeppe/go-internal < tests
github.com/santhosh-tekuri/jsonschema/v6 < tests
github.com/spf13/cobra < cmd/splitbench
github.com/spf13/pflag < cmd/splitbench
github.com/tsenart/vegeta/v12 < attack, internal/export
github.com/tsenart/vegeta/v12/lib/plot < tests
github.com/vbauerster/cupwriter < cmd/splitbench
github.com/yuin/goldmark < tests
gocloud.dev < internal/bucket
go.yaml.in/yaml/v4 < cmd/splitbench
go.opentelemetry.io/otel < internal/telemetry
go.opentelemetry.io/proto/otlp < tests
google.golang.org/grpc < internal/told
google.golang.org/protobuf < internal/told
golang.org/x/crypto/ssh < internal/store
golang.org/x/perf < tests
golang.org/x/sys < attack
golang.org/x/term < cmd/splitbench
gonum.org/v1/gonum < analyze
k8s.io < podexec, internal/mesh, internal/demo, internal/bench, internal/runner, internal/watches, cmd/splitbench
gopkg.in/evanphx/json-patch.v4 < internal/demo
k8s.io/apimachinery < podexec, internal/law, internal/mesh, internal/demo, internal/bench, internal/runner, internal/watches, cmd/splitbench
k8s.io/api < podexec, internal/mesh, internal/demo, internal/runner
k8s.io/cli-runtime < cmd/splitbench
k8s.io/client-go/discovery < internal/mesh
k8s.io/client-go/dynamic < internal/mesh
k8s.io/client-go/kubernetes < internal/mesh, internal/runner
k8s.io/client-go/kubernetes/typed/coordination/v1 < internal/watches
k8s.io/client-go/kubernetes/scheme < podexec, internal/mesh, internal/demo
k8s.io/client-go/tools/leaderelection < internal/watches
k8s.io/client-go/tools/remotecommand < podexec
k8s.io/cri-streaming < internal/demo
k8s.io/kubectl < nobody
k8s.io/streaming < podexec, internal/demo
math/rand < nobody
math/rand/v2 < everybody
sigs.k8s.io/kustomize < tests
oras.land/oras-go/v2 < internal/registry
sigs.k8s.io/yaml < internal/law, internal/mesh, internal/demo, cmd/splitbench
`

// wordPolicy says which room may have which API group, label or annotation in a string. Other rooms ask the Snapshot, so
// that a renamed group is mended in one place. YAML files are not looked at: the fixtures of internal/demo are objects, and
// objects have groups. Test files and comments are free.
const wordPolicy = `
split.smi-spec.io < internal/law, internal/mesh
linkerd.io < internal/law, internal/mesh
gateway.networking.k8s.io < internal/law, internal/mesh
istio.io < internal/law
traefik.io < internal/law
`

// sayOnly names the rooms that may say these words but never decide by them, and why. Saying is to pass the string on;
// deciding is to compare it, to look something up by it or to search for it.
var sayOnly = map[string]string{
	"internal/preflight": "its hints are commands for a person to paste, and kubectl knows the objects by no other name",
}

func TestImportPolicy(t *testing.T) {
	sources, err := readTree(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 50 {
		t.Fatalf("read tree: %d Go files: that is not the whole tree", len(sources))
	}
	p := mustPolicy(t)
	for _, violation := range p.check(sources) {
		t.Error(violation)
	}
}

// update makes `go test -update .` rewrite what documents repeat of this file.
var update = flag.Bool("update", false, "rewrite the policy that docs/design.md shows")

// shownPolicy finds the roomPolicy in docs/design.md.
var shownPolicy = regexp.MustCompile("(?s)```\nNONE < .*?```")

// Who reads the design must read what is enforced.
func TestDesignShowsTheSamePolicy(t *testing.T) {
	name := filepath.Join("docs", "design.md")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := shownPolicy.ReplaceAllLiteral(b, []byte("```"+roomPolicy+"```"))
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !shownPolicy.Match(b) || !bytes.Equal(b, want) {
		t.Error("docs/design.md does not show the roomPolicy of deps_test.go: go test -update .")
	}
}

// Every module that go.mod requires directly has its line in the table of ADR 1, and its line in modulePolicy.
func TestEveryModuleIsAccountedFor(t *testing.T) {
	adr, err := os.ReadFile(filepath.Join("docs", "adr", "0001-third-party-modules.md"))
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	modules := directModules(string(gomod))
	if len(modules) < 10 {
		t.Fatalf("read go.mod: %d direct modules: that cannot be all", len(modules))
	}
	p := mustPolicy(t)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(adr), -1) {
		if !strings.Contains(string(gomod), row[1]+" v") {
			t.Errorf("docs/adr/0001-third-party-modules.md has a line for %s, which go.mod does not require", row[1])
		}
	}
	for _, m := range modules {
		if !strings.Contains(string(adr), "| `"+m+"`") {
			t.Errorf("module %s: docs/adr/0001-third-party-modules.md has no line that says what it is for and what else could do it", m)
		}
		if _, ok := p.modules.fit(m); !ok && !slices.ContainsFunc(p.modules.names(), under(m)) {
			t.Errorf("module %s: modulePolicy has no line for it", m)
		}
	}
}

// The configuration of the linters is written for one version of them.
func TestLintConfigurationIsForThePinnedVersion(t *testing.T) {
	config, err := os.ReadFile(".golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join("tools", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`(?m)^\s*github\.com/golangci/golangci-lint/v2 (v\S+)`).FindStringSubmatch(string(gomod))
	first, _, _ := strings.Cut(string(config), "\n")
	if pinned == nil || !strings.HasPrefix(first, "# golangci-lint "+pinned[1]+",") {
		t.Errorf(".golangci.yml begins with %q, tools/go.mod pins %q", first, pinned)
	}
}

// directModules returns the modules that go.mod requires for itself.
func directModules(gomod string) (modules []string) {
	inRequire := false
	for line := range strings.Lines(gomod) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 2 && f[0] == "require" && f[1] == "(":
			inRequire = true
		case len(f) >= 1 && f[0] == ")":
			inRequire = false
		case inRequire && len(f) >= 2 && !strings.Contains(line, "// indirect"):
			modules = append(modules, f[0])
		}
	}
	return modules
}

// A target that is phony and has no rule does nothing and is green: .ci/run would call tests that nobody runs.
func TestEveryPhonyTargetHasARule(t *testing.T) {
	b, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(string(b))
	if phony == nil {
		t.Fatal("Makefile: no .PHONY")
	}
	for _, target := range strings.Fields(phony[1]) {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(b) {
			t.Errorf("Makefile: .PHONY names %s, which has no rule", target)
		}
	}
}
