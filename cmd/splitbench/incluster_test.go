package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
)

const kustomizeDir = "../../packaging/kustomize"

// built are the objects that `kubectl apply -k` of a folder applies.
func built(t *testing.T, folder string) (objects []unstructured.Unstructured) {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(kustomizeDir, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range m.Resources() {
		o, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, unstructured.Unstructured{Object: o})
	}
	return objects
}

func as[T any](t *testing.T, u unstructured.Unstructured) (o T) {
	t.Helper()
	b, err := json.Marshal(u.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(b, &o); err != nil {
		t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
	return o
}

// operated is what this project writes of the Prometheus Operator's kinds (v1 of monitoring.coreos.com, v0.80).
type operated struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       struct {
		Selector            map[string]any `json:"selector"`
		PodMetricsEndpoints []struct {
			Port        string `json:"port"`
			Path        string `json:"path"`
			Interval    string `json:"interval"`
			HonorLabels bool   `json:"honorLabels"`
		} `json:"podMetricsEndpoints"`
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

// podOf reads an object by its own type, without a field that the type lacks, and returns the pod that it makes.
func podOf(t *testing.T, u unstructured.Unstructured) *core.PodSpec {
	t.Helper()
	switch u.GetKind() {
	case "Deployment":
		d := as[apps.Deployment](t, u)
		if d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
			t.Error("nobody stands by")
		}
		return &d.Spec.Template.Spec
	case "CronJob":
		c := as[batch.CronJob](t, u)
		return &c.Spec.JobTemplate.Spec.Template.Spec
	case "Job":
		j := as[batch.Job](t, u)
		return &j.Spec.Template.Spec
	case "Namespace":
		if ns := as[core.Namespace](t, u); ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			t.Errorf("%v", ns.Labels)
		}
	case "ServiceAccount":
		as[core.ServiceAccount](t, u)
	case "ConfigMap":
		s, err := parseSuite([]byte(as[core.ConfigMap](t, u).Data["splitbench.yaml"]))
		if err != nil || len(s.Splits) == 0 {
			t.Errorf("the suite: %v", err)
		}
	case "PersistentVolumeClaim":
		as[core.PersistentVolumeClaim](t, u)
	case "PodDisruptionBudget":
		as[policy.PodDisruptionBudget](t, u)
	case "Role", "ClusterRole":
		as[rbac.ClusterRole](t, u)
	case "RoleBinding", "ClusterRoleBinding":
		b := as[rbac.ClusterRoleBinding](t, u)
		if len(b.Subjects) != 1 || b.Subjects[0].Name != "splitbench" || b.Subjects[0].Namespace != "splitbench" {
			t.Errorf("%s is bound to %v", b.Name, b.Subjects)
		}
	case "PodMonitor", "PrometheusRule":
		as[operated](t, u)
	default:
		t.Errorf("%s %s: this test does not know it", u.GetKind(), u.GetName())
	}
	return nil
}

// Every folder that is applied builds, its objects have no field that Kubernetes does not know, its pods are what the
// restricted profile asks for and more, and their arguments are flags of this program.
func TestKustomizations(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"watch", "overlays/watch", "overlays/suite", "overlays/run"} {
		pods := 0
		for _, u := range built(t, folder) {
			p := podOf(t, u)
			if p == nil {
				continue
			}
			pods++
			all := slices.Concat(p.InitContainers, p.Containers)
			for _, c := range all {
				restricted(t, p, c)
				acceptsArguments(t, c.Args)
				if repository, tag, _ := strings.Cut(c.Image, ":"); repository != "ghcr.io/splitbench/splitbench" || folder != "watch" && tag == "" {
					t.Errorf("%s: image %s", folder, c.Image)
				}
			}
		}
		if pods != 1 {
			t.Errorf("%s: %d kinds of pods", folder, pods)
		}
	}
	release, err := os.ReadFile("../../.github/workflows/release.yml")
	if err != nil || !bytes.Contains(release, []byte("IMAGE_REPOSITORY: ghcr.io/${{ github.repository }}")) {
		t.Errorf("images are released elsewhere: %v", err)
	}
}

// restricted is Kubernetes' Pod Security Standard of that name, with a root that is read-only and bounds.
func restricted(t *testing.T, p *core.PodSpec, c core.Container) {
	t.Helper()
	s, of := c.SecurityContext, p.SecurityContext
	switch {
	case s == nil || of == nil,
		s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation,
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem,
		s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0,
		of.RunAsNonRoot == nil || !*of.RunAsNonRoot,
		of.SeccompProfile == nil || of.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		t.Errorf("container %s: %+v, %+v", c.Name, s, of)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("container %s: %+v", c.Name, c.Resources)
	}
}

// acceptsArguments parses the command line of a container without carrying it out.
func acceptsArguments(t *testing.T, args []string) {
	t.Helper()
	a := &app{surroundings: surroundings{getenv: func(string) string { return "" }}}
	cmd, rest, err := newRoot(a).Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil || cmd.Name() == "splitbench" {
		t.Errorf("splitbench %s: %v", strings.Join(args, " "), err)
	}
}

// The role of the overlays is what the program prints for that namespace and those of no namespace.
func TestKustomizedRoleIsTheOneThatIsPrinted(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), strings.Fields("splitbench rbac watch -n test --from deploy/frontend --offline "+
		"--service-account splitbench/splitbench"), surroundings{stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }})
	if code != 0 {
		t.Fatal(stderr.String())
	}
	var want []string
	for doc := range strings.SplitSeq(stdout.String(), "---\n") {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		if ns := u.GetNamespace(); ns == "" || ns == "test" {
			want = append(want, doc)
		}
	}
	name := filepath.Join(kustomizeDir, "namespaces/test/role.yaml")
	if *update {
		if err := os.WriteFile(name, []byte(strings.Join(want, "---\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(want, "---\n"), string(got)); diff != "" || len(want) != 4 {
		t.Errorf("%d objects; go test ./cmd/splitbench -run Kustomized -update rewrites them\n%s", len(want), diff)
	}
}

// told are the metrics that a watch tells where it has all of them.
func told(t *testing.T) map[string]bool {
	t.Helper()
	low, high, lnE := 0.4, 0.6, 1.0
	var b bytes.Buffer
	err := telemetry.WriteWatches(&b, telemetry.Watches{Role: telemetry.RoleLeader, Splits: []telemetry.WatchedSplit{{
		Namespace: "test", Split: "ts/podinfo", Watch: report.Watch{
			LnE: &lnE, Backends: []report.WatchedPart{{Backend: "podinfo", Weight: 1, Interval: &report.Interval{Low: &low, High: &high}}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(splitbench_\w+)[{ ]`).FindAllStringSubmatch(b.String(), -1) {
		names[m[1]] = true
	}
	return names
}

// rules is the rule file within the PrometheusRule, as Prometheus reads it.
func rules(t *testing.T) []byte {
	t.Helper()
	for _, u := range built(t, "overlays/watch") {
		if u.GetKind() != "PrometheusRule" {
			continue
		}
		b, err := yaml.Marshal(u.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatal("there are no rules")
	return nil
}

// A rule or a panel that asks for a metric which nobody tells never fires and shows nothing.
func TestRulesAndDashboardAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	names := told(t)
	if len(names) < 18 {
		t.Fatalf("%d metrics: %v", len(names), slices.Sorted(maps.Keys(names)))
	}
	dashboard, err := os.ReadFile("../../packaging/grafana/splitbench.json")
	if err != nil || !json.Valid(dashboard) {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	page, err := os.ReadFile("../../docs/in-cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for what, text := range map[string][]byte{"the rules": rules(t), "the dashboard": dashboard, "docs/in-cluster.md": page} {
		found := regexp.MustCompile(`\bsplitbench_\w+`).FindAllString(string(text), -1)
		for _, name := range found {
			if asked[name] = true; !names[name] {
				t.Errorf("%s: there is no metric %s", what, name)
			}
		}
		if len(found) < 4 {
			t.Errorf("%s: asks for %d metrics", what, len(found))
		}
	}
	for name := range names {
		if !bytes.Contains(page, []byte(name)) {
			t.Errorf("docs/in-cluster.md does not say what %s is", name)
		}
	}
}

// promtool accepts the rules, and they fire when they should and not before: the cases are in testdata/rules_test.yaml.
func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool: make prometheus-test installs Debian's package prometheus and runs this test")
	}
	dir := t.TempDir()
	keepFile(t, filepath.Join(dir, "rules.yaml"), rules(t))
	cases, err := os.ReadFile("testdata/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keepFile(t, filepath.Join(dir, "rules_test.yaml"), cases)
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		t.Logf("promtool %s: %s", strings.Join(args, " "), out)
		if err != nil {
			t.Error(fmt.Errorf("promtool %s: %w", strings.Join(args, " "), err))
		}
	}
}
