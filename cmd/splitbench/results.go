package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func resultsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "results", Short: "Look at stored runs", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	cmd.AddCommand(listCommand(a), showCommand(a), compareCommand(a), exportCommand(a), verifyCommand(a), pinCommand(a), pruneCommand(a), importCommand(a))
	return cmd
}

// runLine is one run in a list.
type runLine struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind"`
	Status   string            `json:"status"`
	Outcome  string            `json:"outcome"` // "" where it has no report
	Split    string            `json:"split"`
	Weights  string            `json:"weights"`
	Requests int64             `json:"requests"`
	Started  string            `json:"started"`
	Labels   map[string]string `json:"labels"`
	Tool     string            `json:"tool"`
	Pinned   bool              `json:"pinned"`
	Why      string            `json:"why,omitempty"` // why nothing is known of it
}

func listCommand(a *app) *cobra.Command {
	var (
		output  string
		outcome string
		runs    runsFlags
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List stored runs, newest first",
		Example: `  splitbench results list -l change=CHG-123 -o wide
  splitbench results list --outcome fail -o name`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output, "text", "wide", "name", "json"); err != nil {
				return err
			}
			switch outcome {
			case "", report.Pass, report.Fail, report.Inconclusive, report.Invalid, report.Measured:
			default:
				return fmt.Errorf("--outcome %q: want pass, fail, inconclusive, invalid or measured", outcome)
			}
			labels, err := runs.wanted()
			if err != nil {
				return err
			}
			runs.labels = nil // one look at each run is enough
			folders, err := runs.all(nil)
			if err != nil {
				return err
			}
			lines := make([]runLine, 0, len(folders))
			for _, f := range folders {
				line, s := lineOf(f)
				if s.HasLabels(labels) && (outcome == "" || outcome == line.Outcome) {
					lines = append(lines, line)
				}
			}
			return a.printRuns(lines, output)
		},
	}
	runs.add(cmd)
	cmd.Flags().StringVar(&outcome, "outcome", "", "only runs with this outcome: pass, fail, inconclusive or invalid")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, wide, name or json")
	return cmd
}

func lineOf(f store.Folder) (runLine, report.Summary) {
	line := runLine{ID: f.ID, Status: string(f.Status), Pinned: f.Pinned(), Labels: map[string]string{}}
	s, err := bench.Summary(f)
	if err != nil {
		line.Why = untrusted.Printable(err.Error())
		return line, s
	}
	line.Kind, line.Split, line.Weights, line.Requests, line.Tool = s.Kind, s.Subject, s.Weights, s.Requests, s.Tool
	if f.Status != store.Running {
		line.Outcome = s.Outcome
	}
	if s.Labels != nil {
		line.Labels = s.Labels
	}
	if !s.Started.IsZero() {
		line.Started = s.Started.Format("2006-01-02 15:04:05Z")
	}
	return line, s
}

func (a *app) printRuns(lines []runLine, output string) error {
	switch {
	case output == "json":
		return report.WriteDocument(a.stdout, struct {
			APIVersion string    `json:"apiVersion"`
			Kind       string    `json:"kind"`
			Runs       []runLine `json:"runs"`
		}{report.APIVersion, "RunList", lines})
	case output == "name":
		for _, l := range lines {
			fmt.Fprintln(a.stdout, untrusted.Safe(l.ID))
		}
		return nil
	case len(lines) == 0:
		fmt.Fprintln(a.talk(), "splitbench: no runs stored")
		return nil
	}
	titles := []string{"RUN", "OUTCOME", "STATUS", "KIND", "SPLIT", "STARTED"}
	if output == "wide" {
		titles = append(titles, "WEIGHTS", "REQUESTS", "LABELS", "PINNED", "TOOL")
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = []string{untrusted.Safe(l.ID), untrusted.Safe(l.Outcome), l.Status, untrusted.Safe(l.Kind), untrusted.Safe(l.Split), l.Started}
		if output == "wide" {
			pinned := ""
			if l.Pinned {
				pinned = "pinned"
			}
			rows[i] = append(rows[i], untrusted.Safe(l.Weights), fmt.Sprint(l.Requests), untrusted.Safe(labelText(l.Labels)), pinned, untrusted.Safe(l.Tool))
		}
	}
	return a.table(titles, rows)
}

func labelText(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, ",")
}

func (a *app) table(titles []string, rows [][]string) error {
	t := tablewriter.NewTable(a.stdout, tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})))
	t.Header(titles)
	if err := t.Bulk(rows); err != nil {
		return err
	}
	return t.Render()
}

func showCommand(a *app) *cobra.Command {
	var (
		output string
		runs   runsFlags
	)
	cmd := &cobra.Command{
		Use:               "show [RUN]",
		Short:             "Show a run: whether its folder is whole, and its report",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&runs.dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkReportOutput(output); err != nil {
				return err
			}
			f, err := runs.open(args)
			if err != nil {
				return err
			}
			v, err := f.Verify()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.talk(), "splitbench: run %s in %s: %s\n", f.ID, untrusted.Safe(f.Dir), untrusted.Safe(v.String()))
			r, err := storedReport(f)
			if err != nil {
				return err
			}
			return a.print(r, output)
		},
	}
	runs.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", outputHelp)
	return cmd
}
