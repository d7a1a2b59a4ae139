package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/podexec"
)

// loading are the flags of the load.
type loading struct {
	requests, rate, resultsDir, protocol, url string
	duration, timeout                         time.Duration
	connections                               int
	warmUp, maxRequests                       uint64
	maxRate                                   float64
	classify, labels                          []string
	witness                                   string
	generator
	limiting
}

// add registers the flags; the demo has other defaults for the number of requests and the rate.
func (l *loading) add(flags *pflag.FlagSet, requests, rate string) {
	flags.StringVar(&l.requests, "requests", requests, "requests to count, or auto: as many as the tolerance, --alpha and --power need")
	flags.StringVar(&l.rate, "rate", rate, "requests per second, whatever the answers do: 50, 0.5, 30/m")
	flags.DurationVar(&l.duration, "duration", 0, "how long to send; with --requests or --rate it fixes the other")
	flags.IntVar(&l.connections, "connections", attack.DefaultConnections, "connections and requests in flight at most")
	flags.DurationVar(&l.timeout, "timeout", attack.DefaultTimeout, "of one request")
	flags.Uint64Var(&l.warmUp, "warm-up", 20, "requests sent before the counted ones")
	flags.StringVar(&l.url, "url", "", "what to request; default: the root Service and its port")
	flags.StringArrayVar(&l.classify, "classify", nil, "how answers are told apart: BACKEND=json:/FIELD=VALUE, BACKEND=header:NAME=VALUE, BACKEND=regexp:EXPRESSION or BACKEND=literal:TEXT; repeatable")
	flags.Float64Var(&l.maxRate, "max-rate", attack.DefaultMaxRate, "ceiling of --rate, per second")
	flags.Uint64Var(&l.maxRequests, "max-requests", attack.DefaultMaxRequests, "ceiling of --requests")
	flags.StringVar(&l.resultsDir, "results-dir", "results", "where the run's folder is made")
	flags.StringVar(&l.witness, "witness", bench.WitnessAuto, "counters of the client's proxy: auto, linkerd, envoy, off, or their http address in the pod")
	flags.StringVar(&l.protocol, "exec-protocol", string(podexec.Auto), "auto, websocket or spdy")
	l.generator.add(flags, "a 128th of --requests")
	l.limiting.add(flags, "100%")
	flags.StringArrayVar(&l.labels, "label", nil, "KEY=VALUE kept with the run; repeatable")
}

// load works out requests, rate and duration, of which two fix the third.
func (l *loading) load(flags *pflag.FlagSet) (bench.Load, error) {
	out := bench.Load{
		Connections: l.connections, Timeout: l.timeout, WarmUp: l.warmUp, MaxRate: l.maxRate, MaxRequests: l.maxRequests,
		Header: map[string]string{"User-Agent": "splitbench/" + agent.Version()},
	}
	var err error
	if out.Rate, err = attack.ParseRate(l.rate); err != nil {
		return out, fmt.Errorf("--rate: %w", err)
	}
	var seed uint64
	if f := flags.Lookup("seed"); f != nil {
		seed, _ = strconv.ParseUint(f.Value.String(), 10, 64) // the flag's own type has checked it
	}
	if err := l.apply(&out.Sending, seed); err != nil {
		return out, err
	}
	if out.Sending.Limits, err = l.limits(); err != nil {
		return out, err
	}
	if l.requests != "auto" {
		if out.Requests, err = strconv.ParseUint(l.requests, 10, 63); err != nil || out.Requests == 0 {
			return out, fmt.Errorf("--requests %q: want a number above 0, or auto", l.requests)
		}
	}
	if !(l.maxRate > 0) || math.IsInf(l.maxRate, 0) || l.maxRequests == 0 {
		return out, fmt.Errorf("--max-rate, --max-requests: want numbers above 0")
	}
	switch {
	case !flags.Changed("duration"):
	case l.duration <= 0:
		return out, fmt.Errorf("--duration %s: want above 0", l.duration)
	case flags.Changed("requests") && flags.Changed("rate"):
		return out, fmt.Errorf("--requests, --rate and --duration: two of them fix the third; leave one out")
	case flags.Changed("requests") && out.Requests == 0:
		return out, fmt.Errorf("--requests auto and --duration: give --rate and --duration, or --requests auto alone")
	case flags.Changed("requests"):
		out.Rate = attack.Rate{Hits: out.Requests, Per: l.duration}
	default:
		out.Requests = out.Rate.Requests(l.duration)
	}
	// Ceilings are told here in the user's words; the plan checks them again.
	if out.Rate.PerSecond() > l.maxRate {
		return out, fmt.Errorf("--rate %g/s: above the ceiling of %g/s; allow it with --max-rate", out.Rate.PerSecond(), l.maxRate)
	}
	if out.Requests > l.maxRequests {
		return out, fmt.Errorf("--requests %d: above the ceiling of %d; allow it with --max-requests", out.Requests, l.maxRequests)
	}
	return out, nil
}

// config fills in all that does not depend on a cluster, and says what --fail-on wants.
func (l *loading) config(a *app, cmd *cobra.Command, j *judging) (bench.Config, report.FailOn, error) {
	cfg := bench.Config{URL: l.url, Protocol: podexec.Protocol(l.protocol), ResultsDir: l.resultsDir, Tool: toolVersion(), Log: a.talk()}
	switch cfg.Protocol {
	case podexec.Auto, podexec.WebSocket, podexec.SPDY:
	default:
		return cfg, "", fmt.Errorf("--exec-protocol %q: want auto, websocket or spdy", l.protocol)
	}
	if err := bench.ParseWitness(l.witness); err != nil {
		return cfg, "", err
	}
	cfg.Witness = l.witness
	var failOn report.FailOn
	var err error
	if cfg.Options, failOn, err = j.options(); err != nil {
		return cfg, "", err
	}
	if cfg.Load, err = l.load(cmd.Flags()); err != nil {
		return cfg, "", err
	}
	for _, c := range l.classify {
		rule, err := bench.ParseClassify(c)
		if err != nil {
			return cfg, "", err
		}
		cfg.Rules = append(cfg.Rules, rule)
	}
	if cfg.Labels, err = parseLabels("--label", l.labels); err != nil {
		return cfg, "", err
	}
	cfg.Flags = resolvedFlags(cmd.Flags())
	if cfg.Self, err = os.Executable(); err != nil {
		cfg.Self = ""
	}
	return cfg, failOn, nil
}

// runFlags are all flags of a run.
type runFlags struct {
	cluster
	loading
	judging
	output            string
	dryRun, allSplits bool
	suite             string
	ignore            []string
	looks             sequentialFlags
	want              expecting
	source            sourcing
	to                sinks
	base              baseline
}

func (f *runFlags) add(cmd *cobra.Command) {
	f.cluster.add(cmd)
	f.loading.add(cmd.Flags(), "auto", "50")
	f.judging.add(cmd.Flags())
	f.looks.add(cmd.Flags())
	f.want.add(cmd.Flags())
	f.source.add(cmd.Flags())
	f.to.add(cmd.Flags())
	f.base.add(cmd.Flags())
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", outputHelp)
	cmd.Flags().StringSliceVar(&f.ignore, "ignore-check", nil, "id of a check whose failure does not stop the run, such as SB008; repeatable; the report says so")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print pod, container, commands, requests and permissions, and send nothing")
	cmd.Flags().StringVarP(&f.suite, "filename", "f", "", "file of several splits to run one after the other, such as splitbench.yaml")
	cmd.Flags().BoolVar(&f.allSplits, "all-splits", false, "run every split of the namespace, one after the other")
	hideRare(cmd.Flags())
}

// configure turns the flags of one run into what it is told. It connects and sends nothing.
func (f *runFlags) configure(a *app, cmd *cobra.Command, args []string) (bench.Config, report.FailOn, error) {
	cfg, failOn, err := f.loading.config(a, cmd, &f.judging)
	if err != nil {
		return cfg, "", err
	}
	if f.from == "" && f.selector == "" {
		return cfg, "", fmt.Errorf("--from: name the pod that requests come from, such as deploy/frontend, or fit one with -l")
	}
	if err := f.prepare(&cfg, args); err != nil {
		return cfg, "", err
	}
	if cfg.Query.Port, err = portOf(f.url, f.through); err != nil {
		return cfg, "", err
	}
	if cfg.Sequential, err = f.looks.plan(); err != nil {
		return cfg, "", err
	}
	if cfg.Expect, err = f.want.plan(); err != nil {
		return cfg, "", err
	}
	cfg.IgnoreChecks = f.ignore
	if err := f.source.apply(&cfg); err != nil {
		return cfg, "", err
	}
	if cfg.Baseline, err = f.base.find(f.resultsDir, cfg.Options.Alpha); err != nil {
		return cfg, "", err
	}
	cfg.Command = commandLine(os.Args[1:])
	return cfg, failOn, nil
}

func runCommand(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [SPLIT]",
		Short: "Send requests from the client pod and judge the split",
		Example: `  splitbench run ts/podinfo --context west --remote-context east -n test --from deploy/frontend -c nginx
  splitbench run ts/podinfo -n test --from deploy/frontend --url http://frontend:8080 --through svc/frontend
  splitbench run ts/podinfo -n test --from deploy/frontend --tolerance 2pt --rate 200 -o json
  splitbench run -f splitbench.yaml --junit junit.xml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.suite != "" || f.allSplits {
				return a.runSuite(cmd, &f, args)
			}
			if err := cmp.Or(checkReportOutput(f.output), f.to.check()); err != nil {
				return err
			}
			cfg, failOn, err := f.configure(a, cmd, args)
			if err != nil {
				return err
			}
			if f.dryRun {
				return a.dryRun(cmd, cfg)
			}
			return a.execute(cmd, cfg, f.output, failOn, &f.to)
		},
	}
	f.add(cmd)
	return cmd
}
