package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/telemetry"
)

// exportCommand holds the flags of `results export`.
type exportCommand struct {
	*app
	runs    storedFlags
	to, out string
	options export.Options
}

func newExport(a *app) *cobra.Command {
	c := &exportCommand{app: a}
	cmd := &cobra.Command{
		Use:   "export [RUN]",
		Short: "Write the samples of a run in the formats of other tools",
		Example: `  splitbench results export latest --to vegeta --out run.bin
  splitbench results export latest --to ndjson
  splitbench results export latest --to benchfmt`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(),
	}
	return a.command(cmd, nil, c.export, under("Run", &c.runs), under("Output", c))
}

func (c *exportCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	choose(flags, "to", "ndjson",
		"parquet, samples-csv (both a row for each request, for notebooks and spreadsheets), ndjson, vegeta (gob), "+
			"csv, json (both as vegeta writes them), benchfmt (for benchstat: a line for each round of a latency run, or "+
			"each backend of a run) or prom",
		&c.to, "parquet", "samples-csv", "ndjson", "vegeta", "csv", "json", "benchfmt", "prom")
	flags.StringVar(&c.out, "out", "", "file to write; default: stdout")
	flags.StringVar((*string)(&c.options.Clock), "clock", string(export.ResponseTime),
		"which latency vegeta's formats hold: response (from the planned instant) or service")
	flags.BoolVar(&c.options.PerBackend, "per-backend", false,
		"name vegeta's attacks RUN/BACKEND, for a line each in its plot")
}

func (c *exportCommand) complete(*bench.Config) error {
	if err := folderExists("--out", c.out); err != nil {
		return err
	}
	if c.out == "" && (c.to == "vegeta" || c.to == "parquet") && isTerminal(c.stdout) {
		return fmt.Errorf("--to %s: not written to a terminal; name a file with --out", c.to)
	}
	return nil
}

func (c *exportCommand) export(_ context.Context, args []string) error {
	f, err := c.runs.open(args)
	if err != nil {
		return err
	}
	var cut *error // why samples are missing
	var fill func(io.Writer) error
	switch c.to {
	case "prom": // has no samples: the numbers of the report
		r, err := storedReport(f)
		if err != nil {
			return err
		}
		fill = func(w io.Writer) error { return telemetry.WriteOpenMetrics(w, r) }
	case "benchfmt":
		r, err := judge.ReplicatesOf(f)
		if err != nil {
			return err
		}
		cut = &r.Cut
		fill = func(w io.Writer) error {
			return export.Benchfmt(w, r.Benchmark, r.Key, r.Config, r.All, analyze.Quantile)
		}
	case "parquet", "samples-csv":
		cut = new(error)
		fill = func(w io.Writer) (err error) {
			t := newTable(w, c.to)
			if *cut, err = judge.Tabulate(f, t); err != nil {
				return err
			}
			return t.Close()
		}
	default:
		facts, err := judge.ExportFacts(f)
		if err != nil {
			return err
		}
		samples, missing := judge.Whole(f)
		cut = missing
		fill = func(w io.Writer) error { return write(w, c.to, facts, c.options, samples) }
	}
	if err := toFile(c.out, c.stdout, fill); err != nil {
		return err
	}
	if cut != nil && *cut != nil {
		c.say("run %s is not whole, what it has was written: %v", f.ID, *cut)
	}
	return nil
}

// write writes samples in one of the formats that hold them one by one.
func write(w io.Writer, to string, f export.Facts, o export.Options, samples iter.Seq2[attack.Result, error]) error {
	switch to {
	case "parquet", "samples-csv":
		t := newTable(w, to)
		if err := t.Add(f, samples); err != nil {
			return err
		}
		return t.Close()
	case "vegeta":
		return export.VegetaGob(w, f, o, samples)
	case "csv":
		return export.VegetaCSV(w, f, o, samples)
	case "json":
		return export.VegetaJSON(w, f, o, samples)
	}
	return export.NDJSON(w, f, samples)
}

func newTable(w io.Writer, to string) *export.Table {
	if to == "parquet" {
		return export.NewParquet(w)
	}
	return export.NewCSV(w)
}

// toFile writes a file whole or not at all; without a name it writes to stdout.
func toFile(name string, stdout io.Writer, fill func(io.Writer) error) error {
	if name == "" {
		return fill(stdout)
	}
	return replaceFile("--out", name, fill)
}
