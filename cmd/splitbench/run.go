package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// runCommand holds the flags of `run`.
type runCommand struct {
	*app
	cfg     bench.Config
	cluster clusterFlags
	result  resultFlags

	dryRun, allSplits bool
	suite             string // file of several splits
}

func (c *runCommand) sections() []section {
	return c.cluster.around([]section{
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), bound(classifyFlag), &requestFlags{}),
		under("Load", &amountFlags{}, bound(connectionFlags), warmUpFlag(20), ceilingFlags{}),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), bound(powerFlag), failOnFlag(&c.result.failOn),
			&sequentialFlags{}, &expectFlags{}, ignoreFlag{}, bound(seedFlag)),
		under("Output", c.reportFlag(&c.result.render), bound(c.dryRunFlag), bound(resultsFlag), bound(labelFlag),
			&c.result.sinks),
		under("Comparison with an earlier run", &baselineFlags{}),
		under("Several splits", bound(c.suiteFlags)),
		under("Pods", podFlags{}, bound(execFlag), bound(witnessFlags)),
		under("Runner pods", runnerFlags{}),
		under("Generator", engineFlags{}, &turnoverFlags{}, &dialFlags{}),
		under("Early end", &limitFlags{}, bound(keepGoingFlag)),
	})
}

func (c *runCommand) dryRunFlag(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVar(&c.dryRun, "dry-run", false,
		"print pod, container, commands, requests and permissions, and send nothing")
}

func (c *runCommand) suiteFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVarP(&c.suite, "filename", "f", "",
		"file of several splits to run one after the other, such as splitbench.yaml; - is stdin")
	flags.BoolVar(&c.allSplits, "all-splits", false, "run every split of the namespace, one after the other")
}

func newRun(a *app) *cobra.Command {
	c := &runCommand{app: a}
	cmd := &cobra.Command{
		Use:   "run [SPLIT]",
		Short: "Send requests from the client pod and judge the split",
		Example: `  splitbench run ts/podinfo --context west --remote-context east -n test --from deploy/frontend -c nginx
  splitbench run ts/podinfo -n test --from deploy/frontend --url http://frontend:8080 --through svc/frontend
  splitbench run ts/podinfo -n test --from deploy/frontend --tolerance 2pt --rate 200 -o json
  splitbench run -f splitbench.yaml --junit junit.xml`,
		Args:              oneSplit,
		ValidArgsFunction: c.cluster.completeSplits,
	}
	work := func(ctx context.Context, args []string) error {
		if c.suite != "" || c.allSplits {
			return c.runSuite(ctx, cmd.Flags(), args)
		}
		if err := c.cluster.prepareSource(&c.cfg, args); err != nil {
			return err
		}
		if c.dryRun {
			return a.dryRun(ctx, c.cfg, form(cmd.Flag("output").Value.String()))
		}
		return a.runSplit(ctx, &c.cfg, c.result)
	}
	return c.cluster.completions(a.command(cmd, &c.cfg, work, c.sections()...))
}

// runSplit carries out a run.
func (a *app) runSplit(ctx context.Context, cfg *bench.Config, f resultFlags) error {
	return a.measure(ctx, cfg, f, func(ctx context.Context) (report.Report, error) {
		r, err := bench.Run(ctx, *cfg)
		if err == nil {
			a.stepSummary(r)
		}
		return r, err
	})
}

// dryRun prints what a run would do. A run that would be refused ends as the refusal would.
func (a *app) dryRun(ctx context.Context, cfg bench.Config, output form) error {
	p, err := bench.DryRun(ctx, cfg)
	if err != nil {
		return err
	}
	err = a.write(output, document{
		"text": func(w io.Writer) error { return writePreview(w, p) },
		"json": jsonOf(p.Document()),
	})
	switch {
	case errors.Is(err, errNoPrinter):
		return fmt.Errorf("-o %q: --dry-run prints text, json, %s", output, enumerate(printed, " or "))
	case err != nil || !p.Refused():
		return err
	case output == "text":
		if err := a.text(a.stderr, report.ChecksOutline(p.Checks)); err != nil {
			return err
		}
	}
	return exitCode(report.ExitInvalid)
}

// writePreview writes what a run would do. A Job that would be made comes after it as YAML, to which the rest is a
// comment, so that kubectl can read all of it.
func writePreview(w io.Writer, p bench.Preview) error {
	job := p.Job()
	if job == nil {
		_, err := p.WriteTo(w)
		return err
	}
	var text strings.Builder
	if _, err := p.WriteTo(&text); err != nil {
		return err
	}
	object, err := yaml.Marshal(job)
	if err != nil {
		return fmt.Errorf("--dry-run: %w", err)
	}
	for line := range strings.Lines(text.String()) {
		if err := writeTo(w, "# "+line); err != nil {
			return err
		}
	}
	return writeTo(w, string(object))
}
