package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

func resultsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "results", Short: "Look at stored runs", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	cmd.AddCommand(listCommand(a), showCommand(a), exportCommand(a))
	return cmd
}

// runLine is one run in a list.
type runLine struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Outcome string `json:"outcome"` // "" where it has no report
	Split   string `json:"split"`
	Started string `json:"started"`
}

func listCommand(a *app) *cobra.Command {
	var output, resultsDir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List stored runs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			folders, err := store.List(resultsDir)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			lines := make([]runLine, 0, len(folders))
			for _, f := range folders {
				lines = append(lines, lineOf(resultsDir, f))
			}
			if output == "json" {
				enc := json.NewEncoder(a.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					APIVersion string    `json:"apiVersion"`
					Kind       string    `json:"kind"`
					Runs       []runLine `json:"runs"`
				}{report.APIVersion, "RunList", lines})
			}
			return a.table(lines)
		},
	}
	cmd.Flags().StringVar(&resultsDir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func lineOf(dir string, f store.Folder) runLine {
	line := runLine{ID: f.ID, Status: string(f.Status)}
	if f.Status == store.Running {
		return line
	}
	r, _, err := stored(dir, f.ID)
	if err != nil {
		return line
	}
	line.Outcome = r.Verdict.Outcome
	if r.Split != nil {
		line.Split = r.Split.Namespace + "/" + r.Split.Name
	}
	if r.Run != nil {
		line.Started = r.Run.Started.Format("2006-01-02 15:04:05Z")
	}
	return line
}

func (a *app) table(lines []runLine) error {
	if len(lines) == 0 {
		fmt.Fprintln(a.talk(), "splitbench: no runs stored")
		return nil
	}
	t := tablewriter.NewTable(a.stdout, tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})))
	t.Header([]string{"RUN", "OUTCOME", "STATUS", "SPLIT", "STARTED"})
	for _, l := range lines {
		if err := t.Append([]string{mesh.Safe(l.ID), mesh.Safe(l.Outcome), l.Status, mesh.Safe(l.Split), l.Started}); err != nil {
			return err
		}
	}
	return t.Render()
}

func showCommand(a *app) *cobra.Command {
	var output, resultsDir string
	cmd := &cobra.Command{
		Use:               "show RUN",
		Short:             "Show a run: whether its folder is whole, and its report",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns(&resultsDir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output, outputs...); err != nil {
				return err
			}
			r, f, err := stored(resultsDir, args[0])
			if err != nil {
				return err
			}
			v, err := f.Verify()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.talk(), "splitbench: run %s in %s: %s\n", f.ID, mesh.Safe(f.Dir), mesh.Safe(v.String()))
			return a.print(r, output)
		},
	}
	cmd.Flags().StringVar(&resultsDir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringVarP(&output, "output", "o", "text", outputHelp)
	return cmd
}
