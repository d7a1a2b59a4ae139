package main

import (
	"errors"
	"fmt"
	"strings"

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
				return a.unread(err, output)
			}
			checks := preflight.Run(preflight.View{Snapshot: snap})
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

// unread ends a check of clusters that could not be read. JSON says it as one failed check, so that a program has a document.
func (a *app) unread(err error, output string) error {
	var e *mesh.Error
	if output != "json" || codeOf(err) != report.ExitInvalid || !errors.As(err, &e) {
		return err
	}
	failed := preflight.Result{
		ID: "SB000", Category: "clusters", Name: "the clusters can be read", Severity: preflight.Fatal, Status: preflight.Failed,
		Seen: mesh.Printable(strings.TrimSuffix(err.Error(), "; "+e.Hint)), Hint: mesh.Printable(e.Hint),
	}
	return errors.Join(err, report.WriteChecksJSON(a.stdout, []preflight.Result{failed}))
}
