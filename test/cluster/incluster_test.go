package cluster

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

// inCluster is the laboratory as splitbench itself is run in it.
type inCluster struct {
	lab
	t    *testing.T
	ctr  []string // containerd's client on the node of the client's cluster
	node []string // runs a program in the network of that node
	dir  string
}

// needCluster is need for tests that run splitbench in the cluster, from the image that `make image` made.
func needCluster(t *testing.T) *inCluster {
	t.Helper()
	c := &inCluster{
		lab: need(t), t: t, dir: t.TempDir(),
		ctr: strings.Fields(os.Getenv("SPLITBENCH_TEST_CTR")), node: strings.Fields(os.Getenv("SPLITBENCH_TEST_NODE")),
	}
	if len(c.ctr) == 0 || len(c.node) == 0 {
		t.Skip("SPLITBENCH_TEST_CTR and SPLITBENCH_TEST_NODE are not set: no image can be brought to the node")
	}
	image := "../../dist/splitbench-image.tar"
	if _, err := os.Stat(image); err != nil {
		t.Fatalf("no image to test: %v; run make image", err)
	}
	c.command(c.ctr, "images", "import", image)
	return c
}

// command runs a program and returns what it says.
func (c *inCluster) command(prefix []string, args ...string) string {
	c.t.Helper()
	argv := slices.Concat(prefix, args)
	out, err := exec.CommandContext(context.WithoutCancel(c.t.Context()), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func (c *inCluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.command([]string{"kubectl", "--context", c.west}, args...)
}

// apply applies a folder of testdata/incluster as `kubectl apply -k` does, and takes it away in the end.
func (c *inCluster) apply(folder string) {
	c.t.Helper()
	folder = filepath.Join("testdata/incluster", folder)
	c.t.Cleanup(func() { c.kubectl("delete", "-k", folder, "--ignore-not-found", "--timeout=60s") })
	c.kubectl("apply", "-k", folder)
}

// fill writes a file of testdata/incluster with values in the place of their names.
func (c *inCluster) fill(name string, values ...string) string {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/incluster", name))
	if err != nil {
		c.t.Fatal(err)
	}
	out := filepath.Join(c.dir, name)
	if err := os.WriteFile(out, []byte(strings.NewReplacer(values...).Replace(string(b))), 0o644); err != nil {
		c.t.Fatal(err)
	}
	return out
}

const prometheusAddress = "127.0.0.1:19090" // on the node

// prometheus scrapes the pods until the test ends, with the rules that were applied.
func (c *inCluster) prometheus() {
	c.t.Helper()
	pods := c.kubectl("-n", "splitbench", "get", "pods", "-l", "app.kubernetes.io/component=watch", "-o",
		`jsonpath=[{range .items[*]}{"{"}targets: ["{.status.podIP}:9095"], labels: {"{"}pod: {.metadata.name}{"}}, "}{end}]`)
	config := c.fill("prometheus.yaml", "@PODS@", pods)
	rules := c.kubectl("-n", "splitbench", "get", "prometheusrule", "splitbench-watch", "-o", "jsonpath={.spec}")
	if err := os.WriteFile(filepath.Join(c.dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		c.t.Fatal(err)
	}
	argv := append(slices.Clone(c.node), "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(c.dir, "tsdb"),
		"--web.listen-address="+prometheusAddress, "--query.lookback-delta=10s")
	cmd := exec.Command(argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("prometheus: %s", said.String())
		}
	})
}

// asked is what Prometheus answers: a line for each series, with its labels; "" where there is none, or it is not up yet.
func (c *inCluster) asked(query string) string {
	argv := append(slices.Clone(c.node), "promtool", "query", "instant", "http://"+prometheusAddress, query)
	out, err := exec.CommandContext(c.t.Context(), argv[0], argv[1:]...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// until waits until Prometheus knows what is asked for, or with none until it does not any more, and says how long it took.
func (c *inCluster) until(what, query string, none bool, most time.Duration) string {
	c.t.Helper()
	began := time.Now()
	for {
		if got := c.asked(query); (got == "") == none {
			c.t.Logf("%s after %.1fs", what, time.Since(began).Seconds())
			return got
		}
		if time.Since(began) > most {
			pods, _ := exec.Command("kubectl", "--context", c.west, "-n", "splitbench", "get", "pods", "-o", "wide").CombinedOutput()
			logs, _ := exec.Command("kubectl", "--context", c.west, "-n", "splitbench", "logs", "-l", "app.kubernetes.io/name=splitbench", "--prefix", "--tail=40").CombinedOutput()
			c.t.Fatalf("not within %s: %s\n%s\n%s", most, what, pods, logs)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// holder is the pod that holds the lease.
func (c *inCluster) holder() string {
	pod, _, _ := strings.Cut(c.kubectl("-n", "splitbench", "get", "lease", "splitbench-watch", "-o", "jsonpath={.spec.holderIdentity}"), "_")
	return pod
}

// TestWatchInTheCluster applies the overlay as a user does, into a namespace that enforces the restricted profile. A real
// Prometheus scrapes both pods with the rules of the overlay. A drift that no object shows fires within two minutes and resolves
// after it is gone; the leader is killed, and the other pod watches on. At a tolerance of 20 points and 100 requests a second,
// 50/50 passes within seconds, and 90/10, 20 points outside, fails within some 150 requests.
func TestWatchInTheCluster(t *testing.T) {
	c := needCluster(t)
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("there is no prometheus: make prometheus-test installs Debian's package")
	}
	c.kubectl("apply", "-f", "testdata/incluster/operator.yaml")
	t.Cleanup(func() { c.kubectl("delete", "-f", "testdata/incluster/operator.yaml") })
	c.kubectl("wait", "--for=condition=Established", "--timeout=20s", "crd/podmonitors.monitoring.coreos.com", "crd/prometheusrules.monitoring.coreos.com")
	c.apply("watch")
	for _, base := range []string{"base", "watch", "namespaces/test"} { // what overlays build on is taken as it is, too
		c.kubectl("apply", "--dry-run=server", "-k", filepath.Join("../../packaging/kustomize", base))
	}
	c.kubectl("-n", "splitbench", "rollout", "status", "deploy/splitbench-watch", "--timeout=60s") // probes: both are ready
	c.prometheus()

	const split = `{namespace="test",split="ts/podinfo"}`
	c.until("the split passes", "splitbench_watch_passed"+split+" == 1", false, time.Minute)
	c.until("one pod stands by", "splitbench_watch_leader == 0", false, 20*time.Second)
	// Until the first scrape nobody was known to watch, which fires; of a right split nothing does.
	c.until("nothing fires", `ALERTS{alertstate="firing"}`, true, 20*time.Second)
	if got := c.asked(`sum by (backend) (splitbench_watch_requests_total` + split + `)`); strings.Count(got, "\n") != 1 {
		t.Errorf("backends: %s", got)
	}

	const drift = `ALERTS{alertname="SplitbenchDrift",alertstate="firing",namespace="test",split="ts/podinfo"}`
	c.setWeights(t, "--quiet-drift", "90", "10")
	c.until("the drift fires", drift, false, 2*time.Minute)
	c.setWeights(t, "--quiet-drift", "50", "50")
	c.until("it resolves", drift, true, 2*time.Minute)

	leader := c.holder()
	_, id, _ := strings.Cut(c.kubectl("-n", "splitbench", "get", "pod", leader, "-o", "jsonpath={.status.containerStatuses[0].containerID}"), "://")
	c.command(c.ctr, "tasks", "kill", "--signal", "SIGKILL", id)
	c.until("the other pod holds the lease", `splitbench_watch_leader{pod!="`+leader+`"} == 1`, false, time.Minute)
	if now := c.holder(); now == leader {
		t.Errorf("%s was killed and holds the lease", leader)
	}
	c.until("it measures", `splitbench_watch_up{namespace="test",pod!="`+leader+`"} == 1`, false, time.Minute)
	c.until("nothing fires again", `ALERTS{alertstate="firing"}`, true, 20*time.Second)
	if got := c.asked(`count(splitbench_watch_leader == 1)`); !strings.Contains(got, "=> 1 @") {
		t.Errorf("leaders: %s", got)
	}
	if got := c.kubectl("-n", "splitbench", "logs", leader, "--previous", "--tail=-1"); !strings.Contains(got, "this process holds lease splitbench/splitbench-watch") {
		t.Errorf("the first leader said: %s", got)
	}
}

// TestJobsInTheCluster runs a suite as its CronJob would and keeps its run on the volume, and one run as after a deploy. At 500 a
// second the 2,400 requests that 50/50 needs take five seconds, and pass 99 times in 100 by design; the suite's and the run's
// outcome is looked at, not wanted, so that this is no test of chance.
func TestJobsInTheCluster(t *testing.T) {
	c := needCluster(t)
	if err := os.Chmod(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	volume := c.fill("volume.yaml", "@DIR@", c.dir)
	c.kubectl("apply", "-f", volume)
	t.Cleanup(func() { c.kubectl("delete", "-f", volume, "--timeout=30s") })
	c.apply("suite")
	c.apply("run")
	c.kubectl("-n", "splitbench", "create", "job", "--from=cronjob/splitbench-suite", "by-hand")
	for _, job := range []string{"by-hand", "splitbench-run"} {
		said := c.ended(job)
		if !strings.Contains(said, "ts/podinfo") && !strings.Contains(said, "test/podinfo") || !strings.Contains(strings.ToLower(said), "pass") &&
			!strings.Contains(strings.ToLower(said), "inconclusive") {
			t.Errorf("%s said: %s", job, said)
		}
	}
	runs := c.runFolders(t, c.dir)
	if len(runs) != 1 || runs[0].Status != "complete" || runs[0].Outcome != report.Pass && runs[0].Outcome != report.Inconclusive {
		t.Errorf("on the volume: %+v", runs)
	}
}

// ended is the log of a job that has ended, whichever way.
func (c *inCluster) ended(job string) string {
	c.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(300 * time.Millisecond) {
		status := c.kubectl("-n", "splitbench", "get", "job", job, "-o", "jsonpath={.status.succeeded}{.status.failed}")
		if status == "" {
			continue
		}
		return c.kubectl("-n", "splitbench", "logs", "job/"+job, "--all-containers", "--tail=-1")
	}
	c.t.Fatalf("job %s did not end:\n%s", job, c.kubectl("-n", "splitbench", "describe", "pods"))
	return ""
}
