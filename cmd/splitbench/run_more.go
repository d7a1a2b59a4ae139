package main

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// prepare connects and completes the query.
func (c *cluster) prepare(cfg *bench.Config, args []string) error {
	if err := c.checkContext(); err != nil {
		return err
	}
	if err := c.connect(cfg); err != nil {
		return err
	}
	if len(args) > 0 {
		cfg.Query.Split = args[0]
	}
	return nil
}

// portOf is the port that a URL names, 0 where it names none or where other pods draw.
func portOf(rawURL, through string) (int32, error) {
	if rawURL == "" {
		return 0, nil
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return 0, fmt.Errorf("--url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return 0, fmt.Errorf("--url %q: want http://HOST:PORT/PATH", rawURL)
	}
	if u.Port() == "" || through != "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("--url %q: port %q is out of range", rawURL, u.Port())
	}
	return int32(port), nil
}

// execute carries out a run, shows where it is, prints and delivers its report and ends as its outcome says.
func (a *app) execute(cmd *cobra.Command, cfg bench.Config, output string, failOn report.FailOn, to *sinks) error {
	p := a.newProgress()
	cfg.Progress = p.show
	r, err := bench.Run(cmd.Context(), cfg)
	p.end()
	if err != nil {
		return err
	}
	if err := a.print(r, output); err != nil {
		return err
	}
	a.stepSummary(r)
	delivered := a.deliver(cmd.Context(), to, r)
	return cmp.Or(ended(cmd.Context(), r, failOn), delivered)
}

// dryRun prints what a run would do. A run that would be refused ends as the refusal would.
func (a *app) dryRun(cmd *cobra.Command, cfg bench.Config) error {
	p, err := bench.DryRun(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if _, err := p.WriteTo(a.stdout); err != nil {
		return err
	}
	if p.Refused() {
		if err := report.WriteChecks(a.stderr, p.Checks, report.TextOptions{ASCII: !a.unicode(a.stderr), Color: a.colored(a.stderr)}); err != nil {
			return err
		}
		return exitCode(report.ExitInvalid)
	}
	return nil
}
