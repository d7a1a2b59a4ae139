package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestKubectl(t *testing.T) {
	t.Parallel()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not on PATH")
	}
	c := start(t, Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, c.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), kubectl, append([]string{"--cache-dir", dir}, args...)...)
		// Over a WebSocket, kubectl before 1.33 reads before its streams are there, and drops what comes at once ("Unknown stream id 1,
		// discarding message"); a command that only says its version ends that soon. exec_test.go asks over both.
		cmd.Env = append(os.Environ(), "KUBECONFIG="+file, "HOME="+dir, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("kubectl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	out := run("get", "ts,pods,svc", "-n", "test")
	for _, want := range []string{"trafficsplit.split.smi-spec.io/podinfo", "pod/frontend-", "4/4", "service/podinfo-east", "9898/TCP"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q not in\n%s", want, out)
		}
	}
	out = run("--context", "east", "get", "svc", "-A", "-o", "wide")
	if !strings.Contains(out, "172.30.44.100") {
		t.Errorf("no gateway address in\n%s", out)
	}
	out = run("-n", "test", "get", "ts", "podinfo", "-o", "jsonpath={.spec.backends[*].weight}")
	if out != "50 50" {
		t.Errorf("weights %q", out)
	}
	out = run("-n", "test", "exec", "deploy/frontend", "-c", "nginx", "--", agentPath, "--version")
	if !strings.Contains(out, "splitbench-agent") {
		t.Errorf("the agent says %q", out)
	}
	run("-n", "test", "patch", "ts", "podinfo", "--type=merge", "-p", `{"spec":{"backends":[{"service":"podinfo","weight":1}]}}`)
	out = run("-n", "test", "get", "sp", "podinfo.test.svc.cluster.local", "-o", "jsonpath={.spec.dstOverrides}")
	if out != `[{"authority":"podinfo.test.svc.cluster.local","weight":"1"}]` {
		t.Errorf("the adaptor wrote %s", out)
	}
	manifest := filepath.Join(dir, "web.yaml")
	if err := os.WriteFile(manifest, []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"test"},
		"spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"nginx"}]}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"apply -f " + manifest, "apply -f " + manifest, "apply --server-side -f " + manifest, "-n test scale deploy/web --replicas=2",
		"-n test rollout restart deploy/web", "-n test rollout status deploy/web --timeout=10s", "-n test rollout undo deploy/web",
		"-n test delete pod -l app=web", "-n test wait --for=condition=Ready pod -l app=web --timeout=10s",
	} {
		run(strings.Fields(command)...)
	}
	if out = run("-n", "test", "get", "pods", "-l", "app=web", "-o", "name"); strings.Count(out, "pod/web-") != 2 {
		t.Errorf("pods of web:\n%s", out)
	}
	run("delete", "-f", manifest)
	out = run("auth", "can-i", "create", "pods/exec", "-n", "test")
	if strings.TrimSpace(out) != "yes" {
		t.Errorf("can-i: %s", out)
	}
}
