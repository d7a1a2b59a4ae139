package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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

// listCommand holds the flags of `results list`.
type listCommand struct {
	*app
	runs    storedFlags
	outcome string
	output  form
}

func newList(a *app) *cobra.Command {
	c := &listCommand{app: a}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List stored runs, newest first",
		Example: `  splitbench results list -l change=CHG-123 -o wide
  splitbench results list --outcome fail -o name`,
		Args: cobra.NoArgs,
	}
	return a.command(cmd, nil, c.list,
		under("Runs", &c.runs, bound(c.outcomeFlag)),
		under("Output", outputFlag(&c.output, "text", "wide", "name", "json")),
	)
}

func (c *listCommand) outcomeFlag(flags *pflag.FlagSet, _ *bench.Config) {
	choose(flags, "outcome", "", "only runs with this outcome: pass, fail, inconclusive, invalid or measured",
		&c.outcome, report.Pass, report.Fail, report.Inconclusive, report.Invalid, report.Measured)
}

func (c *listCommand) list(context.Context, []string) error {
	folders, err := (&storedFlags{dir: c.runs.dir}).all(nil) // of all labels: one look at each run is enough
	if err != nil {
		return err
	}
	all := make([]runLine, len(folders))
	store.Each(folders, func(i int, f store.Folder) { all[i] = lineOf(f) }) // all files are hashed, by all processors
	labelled := func(l runLine) bool { return report.Summary{Labels: l.Labels}.HasLabels(c.runs.labels) }
	lines := slices.DeleteFunc(slices.Clone(all), func(l runLine) bool {
		return !labelled(l) || c.outcome != "" && c.outcome != l.Outcome
	})
	damaged := slices.DeleteFunc(all, func(l runLine) bool { // whether one without labels belongs here is not known
		return l.Status != string(store.Damaged) || len(l.Labels) > 0 && !labelled(l)
	})
	if len(lines)+len(damaged) == 0 && (c.output == "text" || c.output == "wide") {
		c.say("no runs stored")
		return nil
	}
	if err := c.write(c.output, runList(lines)); err != nil {
		return err
	}
	for _, l := range damaged {
		c.say("%s", l.Why)
		err = exitCode(report.ExitInvalid)
	}
	return err
}

func lineOf(f store.Folder) runLine {
	line := runLine{ID: f.ID, Status: string(f.Status), Pinned: f.Pinned(), Labels: map[string]string{}}
	s, err := record.Summary(f)
	if s.Labels != nil {
		line.Labels = s.Labels
	}
	if err == nil {
		err = f.Whole()
	}
	if err != nil {
		line.Why = untrusted.Printable(err.Error())
		if errors.Is(err, store.ErrDamaged) {
			line.Status = string(store.Damaged)
		}
		return line
	}
	line.Kind, line.Split, line.Weights, line.Requests, line.Tool = s.Kind, s.Subject, s.Weights, s.Requests, s.Tool
	if f.Status != store.Running {
		line.Outcome = s.Outcome
	}
	if !s.Started.IsZero() {
		line.Started = s.Started.Format("2006-01-02 15:04:05Z")
	}
	return line
}

// runsDocument is the JSON of a list of runs.
type runsDocument[T any] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Runs       []T    `json:"runs"`
}

// runList returns the forms of a list.
func runList(lines []runLine) document {
	return document{
		"json": jsonOf(runsDocument[runLine]{report.APIVersion, "RunList", lines}),
		"name": func(w io.Writer) error {
			for _, l := range lines {
				fmt.Fprintln(w, untrusted.Safe(l.ID))
			}
			return nil
		},
		"text": func(w io.Writer) error { return runTable(w, lines, 6) },
		"wide": func(w io.Writer) error { return runTable(w, lines, 11) },
	}
}

// runTable writes the first columns of a table.
func runTable(w io.Writer, lines []runLine, columns int) error {
	titles := []string{
		"RUN", "OUTCOME", "STATUS", "KIND", "SPLIT", "STARTED", "WEIGHTS", "REQUESTS", "LABELS", "PINNED", "TOOL",
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		pinned := ""
		if l.Pinned {
			pinned = "pinned"
		}
		rows[i] = []string{
			untrusted.Safe(l.ID), untrusted.Safe(l.Outcome), l.Status, untrusted.Safe(l.Kind), untrusted.Safe(l.Split),
			l.Started, untrusted.Safe(l.Weights), fmt.Sprint(l.Requests), untrusted.Safe(labelText(l.Labels)), pinned,
			untrusted.Safe(l.Tool),
		}[:columns]
	}
	return render.Table(w, titles[:columns], rows)
}

func labelText(labels map[string]string) string { return strings.Join(report.Labels(labels), ",") }
