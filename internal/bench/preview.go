package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/runner"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Preview is what a run would do.
type Preview struct {
	Checks []preflight.Result
	m      record.Manifest
	plan   bool         // there is a plan: no fatal check failed
	job    *runner.Spec // of the pods that would send; nil: the workload's would
	via    Via          // as it was asked for
}

// DryRun discovers, checks and plans, and sends no request. Its errors are those of discovery, and *UsageError.
func DryRun(ctx context.Context, cfg Config) (Preview, error) {
	r := &run{cfg: cfg.asking(), m: record.Manifest{Options: cfg.Options}}
	if err := r.prepare(ctx); err != nil {
		return Preview{}, err
	}
	if r.cfg.Runners.Pods > 0 {
		s, err := r.askForRunners(ctx, r)
		if err != nil {
			return Preview{}, err
		}
		r.job = &s
		r.m.Before.Source = s.Source()
	}
	return Preview{Checks: r.m.Checks, m: r.m, plan: !r.m.Refused(), job: r.job, via: cfg.Via}, nil
}

// Job is the Job of runner pods that would be made, nil where none would be.
func (p Preview) Job() any {
	if p.job == nil {
		return nil
	}
	return p.job.Job()
}

// Refused reports whether a fatal check failed, so that a run would send nothing.
func (p Preview) Refused() bool { return !p.plan }

// PreviewDocument is the JSON of a preview. What depends on a plan is absent where a run would be refused.
type PreviewDocument struct {
	APIVersion    string             `json:"apiVersion"`
	Kind          string             `json:"kind"`
	Measurable    bool               `json:"measurable"` // no fatal check failed
	Namespace     string             `json:"namespace"`  // of the pod
	Pod           string             `json:"pod"`
	Container     string             `json:"container"`
	Weights       string             `json:"weights"`
	WeightsFrom   string             `json:"weightsFrom"`
	URL           string             `json:"url,omitempty"`
	Requests      uint64             `json:"requests,omitempty"`
	WarmUp        uint64             `json:"warmUpRequests,omitempty"`
	RatePerSecond float64            `json:"ratePerSecond,omitempty"`
	Seconds       float64            `json:"durationSeconds,omitempty"`
	Permissions   []law.Access       `json:"permissions"`
	Job           any                `json:"job,omitempty"` // of runner pods
	Checks        []preflight.Result `json:"checks"`
}

// Document is what would be done, for programs.
func (p Preview) Document() PreviewDocument {
	s, pod, plan := p.m.Before, p.m.Before.Source, p.m.Plan
	d := PreviewDocument{
		APIVersion: report.APIVersion, Kind: "RunPreview", Measurable: p.plan,
		Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container,
		Weights: record.WeightsOf(*s).String(), WeightsFrom: s.Split.EffectiveFrom,
		Permissions: append([]law.Access{}, s.Access...), Checks: append([]preflight.Result{}, p.Checks...),
		Job: p.Job(),
	}
	if p.plan {
		d.URL, d.Requests, d.WarmUp = plan.URL, plan.Requests, plan.WarmUp
		d.RatePerSecond, d.Seconds = plan.Rate.PerSecond(), plan.Duration().Seconds()
	}
	return d
}

// WriteTo writes what would be done, in the order in which it would be.
func (p Preview) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	s, pod := p.m.Before, p.m.Before.Source
	fmt.Fprintf(&b, "pod          %s/%s (%s)\n", pod.Namespace, pod.Name, nodeText(pod))
	fmt.Fprintf(&b, "container    %s (%s)\n", pod.Container, pod.ContainerWhy)
	if p.plan {
		plan := p.m.Plan
		fmt.Fprintf(&b, "requests     %d counted and %d before them to warm up, at %g/s: %s\n",
			plan.Requests, plan.WarmUp, plan.Rate.PerSecond(), plan.Duration().Round(time.Millisecond))
		fmt.Fprintf(&b, "probes       at most %d to the root, %d to each other backend, to learn what answers look like\n",
			rootProbes, directProbes)
		fmt.Fprintf(&b, "url          %s\n", what(plan))
	}
	fmt.Fprintf(&b, "weights      %s (%s)\n", record.WeightsOf(*s), s.Split.EffectiveFrom)
	deadline := p.m.Plan.Duration() + p.m.Plan.Timeout + sessionMargin
	if pod.AgentPath != "" && (p.via == "" || p.via == ViaAuto || p.via == ViaPresent) {
		fmt.Fprintf(&b, "commands     %s %s %s\n", pod.AgentPath, agent.ArgServe, deadline.Round(time.Second))
	} else {
		dirs := append(append([]string(nil), pod.WritableDirs...), "$TMPDIR", "/tmp", "/var/tmp", "/run", "$PWD")
		fmt.Fprintf(&b, "commands     sh -c SCRIPT ... %s %s\n", agent.ArgServe, deadline.Round(time.Second))
		fmt.Fprintf(&b, "             finds the first of %s where a file can be written and run,\n", strings.Join(dirs, " "))
		fmt.Fprintf(&b, "             takes the agent from stdin as .splitbench-HASH-RANDOM, mode 0700, checks its\n")
		fmt.Fprintf(&b, "             SHA-256, and becomes it; the file unlinks itself first\n")
	}
	head := "permissions "
	for _, a := range s.Access {
		if a.Allowed && a.Optional {
			continue // it was asked for, is granted, and nothing depends on it
		}
		state := "allowed"
		if !a.Allowed {
			state = "NOT allowed"
		}
		where := "in all namespaces"
		if a.Namespace != "" {
			where = "in namespace " + a.Namespace
		}
		if a.Cluster != "" {
			where += " of cluster " + a.Cluster
		}
		fmt.Fprintf(&b, "%s %s %s %s: %s\n", head, a.Verb, a.What(), where, state)
		head = "            "
	}
	b.WriteString("nothing was sent\n")
	n, err := io.WriteString(w, safeLines(b.String()))
	return int64(n), err
}

// what is what a request of the plan asks for.
func what(p attack.Plan) string {
	if p.Protocol == attack.ProtocolGRPC {
		return strings.TrimPrefix(p.Unary.Path(), "/") + " of " + p.URL
	}
	return p.Method + " " + p.URL
}

func nodeText(p law.Pod) string {
	if p.Node == "" {
		return "node not known"
	}
	return "node " + p.Node
}

// safeLines escapes each line: names came from a cluster.
func safeLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = untrusted.Safe(l)
	}
	return strings.Join(lines, "\n") + "\n"
}
