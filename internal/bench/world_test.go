package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
)

// scale is kubectl scale in the demo's world: kubectl itself where there is one, else what it sends.
func scale(t *testing.T, w *demo.Clusters, cluster, namespace, deployment string, replicas int) {
	t.Helper()
	if kubectl, err := exec.LookPath("kubectl"); err == nil {
		file := filepath.Join(t.TempDir(), "config")
		mustDo(t, os.WriteFile(file, w.Kubeconfig(), 0o600))
		out, err := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", file, "--context", cluster, "-n", namespace, "scale",
			"deployment/"+deployment, fmt.Sprint("--replicas=", replicas)).CombinedOutput()
		if err != nil {
			t.Errorf("kubectl scale: %v: %s", err, out)
		}
		return
	}
	config, err := clientcmd.Load(w.Kubeconfig())
	mustDo(t, err)
	rest, err := clientcmd.NewNonInteractiveClientConfig(*config, cluster, nil, nil).ClientConfig()
	mustDo(t, err)
	client, err := kubernetes.NewForConfig(rest)
	mustDo(t, err)
	_, err = client.AppsV1().Deployments(namespace).Patch(context.WithoutCancel(t.Context()), deployment, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}, "scale")
	mustDo(t, err)
}

// TestADrillByKubectlAlone breaks both sides of the split, one after the other, with nothing but kubectl: the report
// names both, and says that the proxies gave their weight to the other for as long. A backend is silent for 3 s before
// that, so each is gone for more than 4.
func TestADrillByKubectlAlone(t *testing.T) {
	w := world(t, demo.Options{Seed: 25})
	const rate = 100
	at := func(seconds float64) uint64 { return uint64(seconds * rate) }
	cfg := drillOf(t, w, map[uint64]func(){
		at(1.5): func() { scale(t, w, "west", "test", "podinfo", 0) },
		at(7):   func() { scale(t, w, "west", "test", "podinfo", 2) },
		at(9):   func() { scale(t, w, "east", "linkerd-multicluster", "linkerd-gateway", 0) },
		at(14):  func() { scale(t, w, "east", "linkerd-multicluster", "linkerd-gateway", 1) },
	})
	cfg.Load.Requests, cfg.Load.Rate = at(17), attack.Rate{Hits: rate, Per: time.Second}
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Drill
	if d == nil || len(d.Failovers) != 2 || r.Verdict.Outcome != report.Measured {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, d)
	}
	for i, want := range []string{"podinfo", "podinfo-east"} {
		f := d.Failovers[i]
		if f.Backend != want || f.By != report.ByProxy || f.Lost == 0 || f.TakenOver == nil || f.BackToSplit == nil {
			t.Errorf("%s: %+v", want, f)
		}
		t.Logf("%s: %s", f.Backend, strings.Join(f.Sentences, " "))
	}
}
