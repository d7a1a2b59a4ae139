package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// withThem is a run of so many requests from runner pods.
func withThem(t *testing.T, w *demo.Clusters, requests uint64, pods int) Config {
	t.Helper()
	cfg := connect(t, w, requests)
	cfg.Runners, cfg.Query.Runners = Runners{Pods: pods, Image: "splitbench.local/splitbench:dev"}, true
	return cfg
}

// jobs are the names of the Jobs in the namespace of the demo.
func jobs(t *testing.T, cfg Config) []string {
	t.Helper()
	l, err := cfg.Local.Kube().BatchV1().Jobs("test").List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range l.Items {
		names = append(names, j.Name)
	}
	return names
}

// Runner pods send in the place of the workload's, the report says whose, the stored run says the same, and nothing is left.
func TestRunnerPodsStandInForTheWorkload(t *testing.T) {
	cfg := withThem(t, world(t, demo.Options{Seed: 5}), 3000, 3)
	var during []string
	cfg.Progress = func(p Progress) {
		if p.Phase == "attack" && during == nil {
			during = jobs(t, cfg)
		}
	}
	r, m, f := live(t, cfg)
	s := r.Source
	if r.Verdict.Outcome != report.Pass || s.Runners == nil || len(s.Pods) != 3 || len(during) != 1 {
		t.Fatalf("%s %q: source %+v, jobs %v", r.Verdict.Outcome, r.Verdict.Reasons, s, during)
	}
	want := report.Runners{
		Workload: "deploy/frontend", Job: "test/" + during[0], Pods: 3, Image: cfg.Runners.Image, ServiceAccount: "default",
	}
	if *s.Runners != want || m.Before.Source.Workload != "--from deploy/frontend" {
		t.Errorf("%+v, want %+v; workload %q", *s.Runners, want, m.Before.Source.Workload)
	}
	for _, p := range s.Pods {
		if !strings.HasPrefix(p.Pod, during[0]+"-") {
			t.Errorf("pod %s is none of Job %s", p.Pod, during[0])
		}
	}
	numbers(t, f, 3000, 3)
	if left := jobs(t, cfg); left != nil {
		t.Errorf("left: %v", left)
	}
}

// A run that is refused, one whose pods come without a proxy and one that is interrupted leave nothing either.
func TestRunnerPodsAreTakenAwayWhateverHappens(t *testing.T) {
	t.Run("a check fails before", func(t *testing.T) {
		cfg := withThem(t, world(t, demo.Options{Seed: 6, OffMesh: true}), 100, 2)
		r, err := Run(t.Context(), cfg)
		if err != nil || r.Verdict.Outcome != report.Invalid || jobs(t, cfg) != nil {
			t.Errorf("%v, %s %q, jobs %v", err, r.Verdict.Outcome, r.Verdict.Reasons, jobs(t, cfg))
		}
	})
	t.Run("interrupted while it sends", func(t *testing.T) {
		cfg := withThem(t, world(t, demo.Options{Seed: 7}), 100_000, 2)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Progress = func(p Progress) {
			if p.Live != nil {
				cancel()
			}
		}
		r, err := Run(ctx, cfg)
		if err != nil || r.Verdict.Outcome != report.Invalid || r.Source.Runners == nil || jobs(t, cfg) != nil {
			t.Errorf("%v, %s %q, jobs %v", err, r.Verdict.Outcome, r.Verdict.Reasons, jobs(t, cfg))
		}
	})
}

// A drill and a latency run from runner pods, and leave nothing.
func TestOtherKindsOfRunsFromRunnerPods(t *testing.T) {
	w := world(t, demo.Options{Seed: 9})
	for name, do := range map[string]func(Config) (report.Report, error){
		"drill": func(cfg Config) (report.Report, error) { return Drill(t.Context(), DrillConfig{Config: cfg}) },
		"latency": func(cfg Config) (report.Report, error) {
			return Latency(t.Context(), LatencyConfig{
				Config: cfg, Targets: []string{"svc/podinfo-east"}, Against: "svc/podinfo", Rounds: 20, Round: 100 * time.Millisecond,
			})
		},
	} {
		cfg := withThem(t, w, 100, 2)
		r, err := do(cfg)
		if err != nil || r.Source == nil || r.Source.Runners == nil || !strings.HasPrefix("test/"+r.Source.Pod, r.Source.Runners.Job) {
			t.Errorf("%s: %v, %s %q, source %+v", name, err, r.Verdict.Outcome, r.Verdict.Reasons, r.Source)
		}
		if left := jobs(t, cfg); left != nil {
			t.Errorf("%s left %v", name, left)
		}
	}
}

// A watch from runner pods has a Job for each session, which ends before its deadline, and leaves none; between two of
// them is no gap.
func TestAWatchFromRunnerPods(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 10})
	cfg := watchOf(t, w)
	cfg.Config = withThem(t, w, 100, 2)
	cfg.Load.Rate, cfg.Every, cfg.Session = attack.Rate{Hits: 100, Per: time.Second}, 100*time.Millisecond, 200*time.Millisecond
	made := map[string]int64{} // Job: its deadline
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.For = 0
	cfg.State = func(WatchState) {
		l, err := cfg.Local.Kube().BatchV1().Jobs("test").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(l.Items) != 1 {
			t.Errorf("%d Jobs while it sends, %v", len(l.Items), err)
			return
		}
		if made[l.Items[0].Name] = *l.Items[0].Spec.ActiveDeadlineSeconds; len(made) == 3 {
			cancel()
		}
	}
	r, err := Watch(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Source
	if len(made) != 3 || s.Runners == nil || made[strings.TrimPrefix(s.Runners.Job, "test/")] < 360 || r.Watch.GapCount != 0 ||
		s.Runners.Workload != "deploy/frontend" || r.Watch.Requests == 0 || r.Verdict.Outcome == report.Fail {
		t.Errorf("%s %q: Jobs %v, %+v, %d gaps: %v", r.Verdict.Outcome, r.Verdict.Reasons, made, s.Runners,
			r.Watch.GapCount, r.Watch.Gaps)
	}
	if left := jobs(t, cfg.Config); left != nil {
		t.Errorf("left: %v", left)
	}
}

// A dry run says what Job there would be, and makes none.
func TestADryRunShowsTheJob(t *testing.T) {
	cfg := withThem(t, world(t, demo.Options{Seed: 8}), 1000, 4)
	p, err := DryRun(t.Context(), cfg)
	if err != nil || p.Job() == nil || p.Refused() || jobs(t, cfg) != nil {
		t.Fatalf("%v, %+v, jobs %v", err, p.Document(), jobs(t, cfg))
	}
}

func TestAnAgentOfAnotherVersionIsRefused(t *testing.T) {
	digests, err := agentbin.Digests()
	if err != nil || len(digests) == 0 {
		t.Skipf("no agents are embedded: %v", err)
	}
	r := newRun(Config{Runners: Runners{Image: "x:1"}}, report.KindSplit)
	r.m.Before = &law.Snapshot{Runners: &law.Runners{}}
	own := wire.HelloMessage{OS: "linux", Arch: "amd64", SHA256: digests["linux/amd64"], Version: agent.Version()}
	other, unknown, older := own, own, own
	other.SHA256, unknown.Arch = digests["linux/arm64"], "s390x"
	older.Arch, older.Version = "s390x", "v0.0.1"
	for name, c := range map[string]struct {
		hello wire.HelloMessage
		ok    bool
	}{"this one": {own, true}, "another": {other, false}, "of a platform that is not embedded": {unknown, true}, "an older one of it": {older, false}} {
		if err := r.ofThisVersion(c.hello); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && !strings.HasPrefix(err.Error(), "--runner-image x:1: its agent for linux/") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
