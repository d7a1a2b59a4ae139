package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
)

func checkCommand(a *app) *cobra.Command {
	var (
		c      cluster
		output string
	)
	cmd := &cobra.Command{
		Use:   "check [SPLIT]",
		Short: "Say whether the split can be measured, and what is wrong where not",
		Long:  "check reads the clusters and sends no request. It exits with 4 when a fatal check failed.",
		Example: `  splitbench check ts/podinfo --context west --remote-context east -n test --from deploy/frontend -c nginx
  splitbench check ts/podinfo -n test --from deploy/frontend -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			var cfg bench.Config
			if err := c.prepare(&cfg, args); err != nil {
				return err
			}
			snap, err := mesh.Discover(cmd.Context(), cfg.Local, cfg.Remotes, cfg.Query)
			if err != nil {
				return err
			}
			checks := preflight.Run(snap)
			if output == "json" {
				err = report.WriteChecksJSON(a.stdout, checks)
			} else if !a.quiet {
				err = report.WriteChecks(a.stdout, checks, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)})
			}
			if err != nil {
				return err
			}
			for _, note := range snap.Notes {
				fmt.Fprintf(a.talk(), "splitbench: note: %s\n", mesh.Safe(note))
			}
			for _, r := range checks {
				if r.Failure() {
					return exitCode(report.ExitInvalid)
				}
			}
			return nil
		},
	}
	c.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	hideRare(cmd.Flags())
	return cmd
}
