package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"
)

const runnerImage = "splitbench.local/splitbench:dev"

// needRunners is need for tests of runner pods: it puts the image of the program under test into the client cluster's nodes.
func needRunners(t *testing.T) lab {
	t.Helper()
	l := need(t)
	ctr := strings.Fields(os.Getenv("SPLITBENCH_TEST_CTR"))
	if len(ctr) == 0 {
		t.Skip("SPLITBENCH_TEST_CTR is not set: no image can be brought to the node")
	}
	load := append(ctr, "images", "import")
	program, err := filepath.Abs(l.binary)
	if err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(t.TempDir(), "image.tar")
	build := exec.CommandContext(t.Context(), "go", "run", "-C", "../packaging", "./image", "-program", program, "-out", tar, "-tag", runnerImage)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the image: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), load[0], append(load[1:], tar)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", load, err, out)
	}
	return l
}

// injector is a stand-in for Linkerd's, which the laboratory lacks: a policy that adds the stand-in proxy to pods that ask for
// one by Linkerd's annotations, as a container or as a native sidecar. Without Init nothing leads traffic to it, as with a CNI
// plugin that is not there: that is what the restricted profile takes.
var injector = template.Must(template.New("").Parse(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: {{.Name}}}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{.Namespace}}}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  matchConditions:
  - name: asks
    expression: >-
      object.metadata.?annotations[?"linkerd.io/inject"].orValue("") == "enabled" &&
      (object.metadata.?annotations[?"config.linkerd.io/proxy-enable-native-sidecar"].orValue("") == "true") == {{.Native}} &&
      !object.spec.containers.exists(c, c.name == "linkerd-proxy")
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [
          JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: "mesh",
            configMap: Object.spec.volumes.configMap{name: "standin-mesh"}}},
          JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: "mesh-tls",
            secret: Object.spec.volumes.secret{secretName: "standin-mesh"}}},
          JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: "mesh-tmp",
            emptyDir: Object.spec.volumes.emptyDir{}}},
          {{if .Init}}
          JSONPatch{op: "add", path: "/spec/initContainers", value: []},
          JSONPatch{op: "add", path: "/spec/initContainers/-", value: Object.spec.initContainers{
            name: "linkerd-init", image: "docker.io/splitlab/tools:1",
            command: ["iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "9898", "-m", "owner", "!", "--uid-owner", "2102",
              "-j", "REDIRECT", "--to-ports", "4140"],
            securityContext: Object.spec.initContainers.securityContext{runAsUser: 0, runAsNonRoot: false,
              capabilities: Object.spec.initContainers.securityContext.capabilities{add: ["NET_ADMIN", "NET_RAW"]}}
          }},
          {{end}}
          {{$at := "containers"}}{{if .Native}}{{$at = "initContainers"}}{{end}}
          JSONPatch{op: "add", path: "/spec/{{$at}}/-", value: Object.spec.{{$at}}{
            name: "linkerd-proxy", image: "docker.io/splitlab/tools:1",
            {{if .Native}}restartPolicy: "Always",{{end}}
            command: ["sh", "-c", "sh /mesh/render 50 && exec nginx -e stderr -c /tmp/mesh.conf"],
            env: [Object.spec.{{$at}}.env{name: "PODINFO_SERVICE_HOST", value: "{{.Podinfo}}"}],
            securityContext: Object.spec.{{$at}}.securityContext{runAsUser: 2102, runAsNonRoot: true, allowPrivilegeEscalation: false,
              capabilities: Object.spec.{{$at}}.securityContext.capabilities{drop: ["ALL"]}},
            {{if .Native}}startupProbe: Object.spec.{{$at}}.startupProbe{tcpSocket: Object.spec.{{$at}}.startupProbe.tcpSocket{port: 4140}, periodSeconds: 1},{{end}}
            volumeMounts: [Object.spec.{{$at}}.volumeMounts{name: "mesh", mountPath: "/mesh"},
              Object.spec.{{$at}}.volumeMounts{name: "mesh-tls", mountPath: "/mesh-tls"},
              Object.spec.{{$at}}.volumeMounts{name: "mesh-tmp", mountPath: "/tmp"}]
          }}
        ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: {{.Name}}}
spec: {policyName: {{.Name}}}
`))

type injectorOf struct {
	Name, Namespace, Podinfo string
	Native, Init             bool
}

// inject plants injectors, and waits until the API server goes by them: policies follow a watch.
func (l lab) inject(t *testing.T, all ...injectorOf) {
	t.Helper()
	var b bytes.Buffer
	for i := range all {
		all[i].Podinfo = l.kubectl(t, "", "get", "service", "podinfo", "-o", "jsonpath={.spec.clusterIP}")
		if err := injector.Execute(&b, all[i]); err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n")
	}
	t.Cleanup(func() { kubectl(t, b.String(), "--context", l.west, "delete", "--ignore-not-found", "-f", "-") })
	kubectl(t, b.String(), "--context", l.west, "apply", "-f", "-")
	for _, i := range all {
		pod := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: asks, namespace: %s, annotations: {linkerd.io/inject: enabled, "+
			"config.linkerd.io/proxy-enable-native-sidecar: %q}}\nspec:\n  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}\n"+
			"  volumes: [{name: own, emptyDir: {}}]\n  containers: [{name: own, image: %s, "+
			"securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]\n", i.Namespace, fmt.Sprint(i.Native), runnerImage)
		deadline := time.Now().Add(20 * time.Second)
		for {
			cmd := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
			cmd.Stdin = strings.NewReader(pod)
			out, err := cmd.CombinedOutput()
			if err == nil && strings.Contains(string(out), "name: linkerd-proxy") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("injector %s does nothing: %v\n%s", i.Name, err, out)
			}
		}
	}
}

// runners are the Jobs of runner pods in a namespace, and their pods.
func (l lab) runners(t *testing.T, ns string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kubectl", "--context", l.west, "-n", ns, "get", "jobs,pods", "-l", "splitbench.io/runner", "-o", "name").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// gone waits until the Job and its pods are no more, and says how long that took.
func (l lab) gone(t *testing.T, ns, job string, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		left := l.runners(t, ns)
		if !strings.Contains(left, job) {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Errorf("after %s there are still %s", limit, left)
			return limit
		}
		time.Sleep(200 * time.Millisecond) // of another program's work, which nothing tells of
	}
}

// killed starts a run from a workload, kills it with SIGKILL while it sends, and returns the name of its Job.
func (l lab) killed(t *testing.T, workload string, more ...string) string {
	t.Helper()
	args := l.runArgs(append([]string{"--from", workload, "--runners", "2", "--runner-image", runnerImage, "--requests", "100000", "--rate", "100"}, more...)...)
	cmd := exec.CommandContext(t.Context(), l.binary, args...)
	cmd.Env = append(os.Environ(), "SPLITBENCH_RESULTS_DIR="+t.TempDir())
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(all.String(), "sending ") {
		n, err := said.Read(buffer)
		if all.Write(buffer[:n]); err != nil {
			t.Fatalf("it ended before it sent: %v\n%s", err, all.String())
		}
	}
	_, job, _ := strings.Cut(all.String(), "making Job ")
	job, _, _ = strings.Cut(job, " ")
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if job == "" {
		t.Fatalf("no Job is named in\n%s", all.String())
	}
	return job
}

// Runner pods stand in for the frontend, whose proxy is a container like any other, or a native sidecar. What was made is gone
// after the run, also where splitbench was killed: a runner that hears nothing ends itself, and a proxy that does not end is
// ended by the Job's deadline.
func TestRunnerPods(t *testing.T) {
	l := needRunners(t)
	// 5,000 requests are 4.7 standard deviations from failing; 8 pods with their proxies share two processors with both clusters.
	asks := l.runArgs("--runners", "8", "--runner-image", runnerImage, "--requests", "5000", "--rate", "250")
	if e := l.do(t, t.TempDir(), asks...); e.code != 4 || !strings.Contains(strings.Join(e.report.Verdict.Reasons, " "), "no injector adds one in namespace test") {
		t.Errorf("without an injector: exit %d, %q\n%s", e.code, e.report.Verdict.Reasons, e.stderr)
	}
	if left := l.runners(t, namespace); left != "" {
		t.Errorf("a run that was refused left %s", left)
	}
	l.inject(t, injectorOf{Name: "standin-classic", Namespace: namespace, Init: true},
		injectorOf{Name: "standin-native", Namespace: namespace, Init: true, Native: true})
	l.clone(t, "frontend-native", func(map[string]any) {})
	l.kubectl(t, "", "patch", "deploy", "frontend-native", "--type=merge", "-p",
		`{"spec":{"template":{"metadata":{"annotations":{"linkerd.io/inject":"enabled","config.linkerd.io/proxy-enable-native-sidecar":"true"}}}}}`)
	l.kubectl(t, "", "rollout", "status", "deploy/frontend-native", "--timeout=60s")

	native := l.killed(t, "deploy/frontend-native")
	var waiting sync.WaitGroup // while the others go on
	defer waiting.Wait()
	began := time.Now()
	waiting.Go(func() {
		took := l.gone(t, namespace, native, 90*time.Second)
		t.Logf("a Job with native sidecars was gone %s after splitbench was killed", took.Round(time.Second))
	})

	t.Run("8 pods pass", func(t *testing.T) {
		e := l.do(t, t.TempDir(), asks...)
		ended := time.Now()
		e.want(t, "pass", 0)
		s := e.report.Source
		if s == nil || s.Runners == nil || s.Runners.Workload != "deploy/frontend" || len(s.Pods) != 8 {
			t.Fatalf("source %+v", s)
		}
		var sent, seen int64
		for _, p := range s.Pods {
			sent += p.Requests
			for _, b := range p.Backends {
				seen += b.Observed
			}
			if !strings.HasPrefix(p.Pod, "splitbench-") {
				t.Errorf("pod %s is none of ours", p.Pod)
			}
		}
		if sent != 5000 || seen != 5000 {
			t.Errorf("the pods' counts add up to %d sent, %d of known backends", sent, seen)
		}
		_, job, _ := strings.Cut(s.Runners.Job, "/")
		took := l.gone(t, namespace, job, time.Minute-time.Since(ended))
		t.Logf("8 runners: %s for all, gone %s after the end, started within %.0f ms", e.took.Round(time.Second), took.Round(time.Second), s.StartSkewMs)
	})
	t.Run("a proxy that does not end", func(t *testing.T) {
		job := l.killed(t, "deploy/frontend")
		started := l.kubectl(t, "", "get", "job", job, "-o", "jsonpath={.status.startTime}")
		at, err := time.Parse(time.RFC3339, started)
		if err != nil {
			t.Fatal(err)
		}
		left := int(time.Since(at).Seconds()) + 5 // the deadline is minutes away: bring it near
		l.kubectl(t, "", "patch", "job", job, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"activeDeadlineSeconds":%d}}`, left))
		deadline := at.Add(time.Duration(left) * time.Second)
		took := l.gone(t, namespace, job, time.Until(deadline)+10*time.Second)
		t.Logf("gone %s after the deadline", (took - time.Until(deadline.Add(took))).Round(time.Second))
	})
	t.Run("an image that is not there", func(t *testing.T) {
		e := l.do(t, t.TempDir(), append(l.runArgs("--runners", "2", "--runner-image", "splitbench.local/none:1"), short...)...)
		e.want(t, "invalid", 4)
		if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "ErrImagePull") || !strings.Contains(text, "splitbench.local/none:1") {
			t.Errorf("it says %q", text)
		}
	})
	t.Run("an image of something else", func(t *testing.T) {
		e := l.do(t, t.TempDir(), append(l.runArgs("--runners", "1", "--runner-image", "docker.io/splitlab/tools:1"), short...)...)
		e.want(t, "invalid", 4)
		if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "docker.io/splitlab/tools:1") {
			t.Errorf("it says %q", text)
		}
	})
	t.Run("a quota for 4 of 8", func(t *testing.T) {
		before := l.runners(t, namespace) // of the runs above, on their way out
		var pods struct{ Items []json.RawMessage }
		if err := json.Unmarshal([]byte(l.kubectl(t, "", "get", "pods", "-o", "json")), &pods); err != nil {
			t.Fatal(err)
		}
		quota := "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: four}\nspec: {hard: {pods: " + fmt.Sprint(len(pods.Items)+4) + "}}\n"
		t.Cleanup(func() { l.kubectl(t, "", "delete", "resourcequota", "four", "--ignore-not-found") })
		l.kubectl(t, quota, "apply", "-f", "-")
		l.kubectl(t, "", "wait", "--for=jsonpath={.status.hard.pods}", "resourcequota/four", "--timeout=20s")
		e := l.do(t, t.TempDir(), asks...)
		e.want(t, "invalid", 4)
		if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "ResourceQuota four leaves room for ") {
			t.Errorf("it says %q", text)
		}
		for left := range strings.FieldsSeq(l.runners(t, namespace)) {
			if !strings.Contains(before, left) {
				t.Errorf("a run that was refused left %s", left)
			}
		}
	})
	waiting.Wait()
	t.Logf("all of it took %s", time.Since(began).Round(time.Second))
}

// In a namespace that enforces the restricted profile runner pods are taken; an injector's init container with NET_ADMIN is not,
// and the sentence says so before anything is made.
func TestRunnerPodsUnderTheRestrictedProfile(t *testing.T) {
	l := needRunners(t)
	const ns = "test-restricted"
	objects := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + ns + ", labels: {pod-security.kubernetes.io/enforce: restricted}}\n"
	t.Cleanup(func() {
		kubectl(t, objects, "--context", l.west, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
	})
	kubectl(t, objects, "--context", l.west, "apply", "-f", "-")
	for _, what := range []string{"configmap/standin-mesh", "secret/standin-mesh"} {
		var o map[string]any
		if err := json.Unmarshal([]byte(l.kubectl(t, "", "get", what, "-o", "json")), &o); err != nil {
			t.Fatal(err)
		}
		o["metadata"] = map[string]any{"name": "standin-mesh", "namespace": ns}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		kubectl(t, string(b), "--context", l.west, "apply", "-f", "-")
	}
	l.inject(t, injectorOf{Name: "standin-restricted", Namespace: ns})
	client := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: client, namespace: " + ns + "}\nspec:\n  selector: {matchLabels: {app: client}}\n" +
		"  template:\n    metadata: {labels: {app: client}, annotations: {linkerd.io/inject: enabled}}\n    spec:\n" +
		"      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}\n      volumes: [{name: own, emptyDir: {}}]\n" +
		"      containers: [{name: client, image: docker.io/splitlab/tools:1, command: [sleep, infinity], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]\n"
	kubectl(t, client, "--context", l.west, "apply", "-f", "-")
	kubectl(t, "", "--context", l.west, "-n", ns, "rollout", "status", "deploy/client", "--timeout=60s")
	args := append([]string{
		"run", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace, "--from", "deploy/client", "--from-namespace", ns,
		"--runners", "2", "--runner-image", runnerImage, "-o", "json", "--connect-to", "podinfo.test:9898=127.0.0.1:4140",
		"--connect-to", "podinfo-east.test:9898=127.0.0.1:4140", "--ignore-check", "SB015", // nothing redirects here
	}, short...)
	e := l.do(t, t.TempDir(), args...)
	e.want(t, "pass", 0)

	l.inject(t, injectorOf{Name: "standin-restricted", Namespace: ns}) // as it is: the init container's comes on top of it
	privileged := injectorOf{Name: "standin-privileged", Namespace: ns, Init: true}
	var b bytes.Buffer
	if err := injector.Execute(&b, privileged); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "", "--context", l.west, "delete", "mutatingadmissionpolicybinding", "standin-restricted")
	t.Cleanup(func() { kubectl(t, b.String(), "--context", l.west, "delete", "--ignore-not-found", "-f", "-") })
	kubectl(t, b.String(), "--context", l.west, "apply", "-f", "-")
	deadline := time.Now().Add(20 * time.Second)
	for { // until the API server goes by it
		e = l.do(t, t.TempDir(), append(args, "--dry-run")...)
		if strings.Contains(e.stdout, `violates PodSecurity`) && e.code == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit %d\n%s%s", e.code, e.stdout, e.stderr)
		}
	}
	if left := l.runners(t, ns); strings.Contains(left, "job") {
		t.Errorf("a dry run left %s", left)
	}
}

// The role that rbac prints for runner pods is enough, and without any one of its rules the check says which is missing.
func TestRoleOfRunnerPods(t *testing.T) {
	l := needRunners(t)
	l.inject(t, injectorOf{Name: "standin-classic", Namespace: namespace, Init: true})
	roles := l.grant(t, "run", "--from", "deploy/frontend", "--runners", "--name", "splitbench-runners")
	last := roles[len(roles)-1]
	last.write(t, last.rules, last.rules[len(last.rules)-1], true)
	runners := []string{"--runners", "1", "--runner-image", runnerImage, "--as", auditor("run")}
	args := append(l.runArgs("--requests", "100", "--rate", "100", "--fail-on", "invalid"), runners...)
	if e := l.do(t, t.TempDir(), args...); e.code != 0 {
		t.Fatalf("with its role: exit %d, %q\n%s", e.code, e.report.Verdict.Reasons, e.stderr)
	}
	check := append([]string{"check", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace, "--from", "deploy/frontend"}, runners...)
	ours := map[string]bool{"jobs.batch": true, "resourcequotas": true, "events": true}
	tried := 0
	for _, r := range roles {
		for i, rule := range r.rules {
			if ours[what(rule)] || what(rule) == "pods" && rule.Verbs[0] == "create" {
				l.withoutRule(t, r, i, check)
				tried++
			}
		}
	}
	l.execIntoRunnersOnly(t, args)
	if tried != 6 {
		t.Errorf("%d rules are for runner pods, want 6", tried)
	}
}

// execIntoRunnersOnly plants the policy of docs/runners.md: the run from runner pods works under it, the same run from the
// workload's own pod is refused.
func (l lab) execIntoRunnersOnly(t *testing.T, args []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/runners.md")
	if err != nil {
		t.Fatal(err)
	}
	_, policy, found := strings.Cut(string(page), "```yaml\n")
	policy, _, _ = strings.Cut(policy, "```")
	policy = strings.ReplaceAll(policy, "system:serviceaccount:test:splitbench", auditor("run"))
	if !found || !strings.Contains(policy, auditor("run")) {
		t.Fatalf("docs/runners.md shows no policy: %s", policy)
	}
	t.Cleanup(func() { kubectl(t, policy, "--context", l.west, "delete", "--ignore-not-found", "-f", "-") })
	kubectl(t, policy, "--context", l.west, "apply", "-f", "-")
	// The API server follows policies by a watch. A run that it overtakes between upload and start could not take its file back.
	deadline := time.Now().Add(30 * time.Second)
	for {
		out, err := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "--as", auditor("run"),
			"exec", "deploy/frontend", "-c", "nginx", "--", "true").CombinedOutput()
		if err != nil && strings.Contains(string(out), "this account may exec into runner pods only") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exec into the workload's pod is not refused: %v\n%s", err, out)
		}
	}
	e := l.do(t, t.TempDir(), append(slices.Clone(args), "--runners", "0", "--requests", "20")...)
	if text := strings.Join(e.report.Verdict.Reasons, " "); e.code != 4 || !strings.Contains(text, "this account may exec into runner pods only") {
		t.Errorf("from the workload's pod: exit %d, %q", e.code, e.report.Verdict.Reasons)
	}
	l.nothingLeft(t, 0)
	if e := l.do(t, t.TempDir(), args...); e.code != 0 {
		t.Errorf("runner pods under the policy: exit %d, %q", e.code, e.report.Verdict.Reasons)
	}
}
