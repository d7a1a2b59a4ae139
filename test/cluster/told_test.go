package cluster

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/report"
)

// controlPlanePod is a pod with the label by which Linkerd's control plane is found. {{IMAGE}} is one that the nodes have.
const controlPlanePod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "linkerd-destination-test", "namespace": "linkerd",
 "labels": {"linkerd.io/control-plane-component": "destination"}},
 "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "destination", "image": "{{IMAGE}}",
  "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "sleep 600"]}]}}`

// The law is told by a server of Linkerd's own API in a pod, through the port-forward of a real API server and kubelet.
func TestTheLawIsTold(t *testing.T) {
	l := need(t)
	program := filepath.Join(t.TempDir(), "controlplane")
	if out, err := exec.Command("go", "build", "-o", program, "./controlplane").CombinedOutput(); err != nil {
		t.Fatalf("build the control plane: %v\n%s", err, out)
	}
	image := l.kubectl(t, "", "get", "deploy", "frontend", "-o", `jsonpath={.spec.template.spec.containers[?(@.name=="nginx")].image}`)
	l.kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "linkerd"}}`, "apply", "-f", "-")
	l.kubectl(t, strings.ReplaceAll(controlPlanePod, "{{IMAGE}}", image), "-n", "linkerd", "apply", "-f", "-")
	t.Cleanup(func() { l.kubectl(t, "", "delete", "namespace", "linkerd") })
	l.kubectl(t, "", "-n", "linkerd", "wait", "--for=condition=Ready", "pod/linkerd-destination-test", "--timeout=60s")
	b, err := exec.Command("gzip", "-c", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	l.kubectl(t, string(b), "-n", "linkerd", "exec", "-i", "linkerd-destination-test", "--", "sh", "-c",
		"gunzip -c >/tmp/controlplane && chmod +x /tmp/controlplane")
	// The image has no pkill; that the ports (8086 and 8090) are listened on, or no longer, stands in /proc/net.
	serve := func(west, east string) {
		l.kubectl(t, "", "-n", "linkerd", "exec", "linkerd-destination-test", "--", "sh", "-c",
			`listens() { cat /proc/net/tcp /proc/net/tcp6 | grep -q ":$1 .*:0000 0A"; }
if [ -f /tmp/pid ]; then kill "$(cat /tmp/pid)"; while listens 1F96; do :; done; fi
/tmp/controlplane `+west+" "+east+` >/dev/null 2>&1 </dev/null & echo $! >/tmp/pid
until listens 1F96 && listens 1F9A; do :; done`)
	}

	serve("50", "50")
	for _, protocol := range []string{"websocket", "spdy"} {
		e := l.do(t, t.TempDir(), l.runArgs("--law", "told", "--exec-protocol", protocol, "--requests", "5000", "--rate", "1000")...)
		e.want(t, report.Pass, 0)
		told := e.report.Split.Law.Told
		if told == nil || !told.Heard || !told.HeardAfter || !told.Agrees || told.Pod != "linkerd-destination-test" {
			t.Fatalf("%s: told %+v", protocol, told)
		}
		// On a machine that carries both clusters and nothing else it takes some 60 ms.
		if told.TookMs > 300 {
			t.Errorf("%s: it took %d ms, at most 300 are wanted", protocol, told.TookMs)
		}
		t.Logf("%s: told within %d ms, %d ms before the burst", protocol, told.TookMs, told.BeforeBurstMs)
	}

	serve("90", "10")
	e := l.do(t, t.TempDir(), "check", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace,
		"--from", "deploy/frontend", "-c", "nginx", "-o", "json")
	var list struct {
		Checks []struct{ ID, Status, Seen string }
	}
	if err := json.Unmarshal([]byte(e.stdout), &list); err != nil {
		t.Fatalf("%v\n%s", err, e.stdout)
	}
	for _, c := range list.Checks {
		if c.ID == "SB038" && c.Status == "warning" && strings.Contains(c.Seen, "tells proxies podinfo=90,podinfo-east=10") {
			return
		}
	}
	t.Errorf("no SB038 that tells of 90/10:\n%s", e.stdout)
}
