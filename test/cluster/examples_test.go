package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleNamespace is where the manifests are applied: the walkthrough's own is taken by the laboratory's.
const exampleNamespace = "splitbench-examples"

// overlay writes a kustomization over a copy of the examples, in the tests' own namespace.
func overlay(t *testing.T, name string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "walkthrough"), os.DirFS(filepath.Join("..", "..", "examples", "walkthrough"))); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(append([]string{"namespace: " + exampleNamespace, "resources: [../walkthrough/" + name + "]"}, more...), "\n")
	if err := os.Mkdir(filepath.Join(dir, "test"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test", "kustomization.yaml"), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "test")
}

// The manifests of the walkthrough are what API servers take, field by field; only the namespace is another.
func TestExamplesAreTakenByTheServers(t *testing.T) {
	l := need(t)
	for _, context := range []string{l.west, l.east} {
		l.in(t, context, "", "create", "namespace", exampleNamespace)
		t.Cleanup(func() { l.in(t, context, "", "delete", "namespace", exampleNamespace, "--wait=false") })
	}
	for _, tt := range []struct{ context, name, want string }{
		{l.west, "west", "trafficsplit.split.smi-spec.io/podinfo"},
		{l.west, "httproute", "httproute.gateway.networking.k8s.io/podinfo"},
		{l.east, "east", "deployment.apps/podinfo"},
	} {
		out := l.in(t, tt.context, "", "apply", "-k", overlay(t, tt.name), "--dry-run=server", "--validate=strict")
		if !strings.Contains(out, tt.want) {
			t.Errorf("%s: nothing says %s:\n%s", tt.name, tt.want, out)
		}
	}
	// For real, with the image that the nodes have: podinfo becomes ready with the manifest's probes, limits and user.
	l.in(t, l.east, "", "apply", "-k", overlay(t, "east",
		"images: [{name: ghcr.io/stefanprodan/podinfo, newName: docker.io/splitlab/podinfo, newTag: \"1\"}]",
		"patches:",
		"- target: {kind: Deployment, name: podinfo}",
		"  patch: |-",
		"    - {op: replace, path: /spec/template/spec/containers/0/command/0, value: /podinfo}"))
	l.in(t, l.east, "", "-n", exampleNamespace, "rollout", "status", "deploy/podinfo", "--timeout=60s")
}
