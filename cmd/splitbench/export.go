package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/telemetry"
	"github.com/splitbench/splitbench/internal/wire"
)

func exportCommand(a *app) *cobra.Command {
	var to, out, clock string
	var runs runsFlags
	var perBackend bool
	cmd := &cobra.Command{
		Use:   "export [RUN]",
		Short: "Write the samples of a run in the formats of other tools",
		Example: `  splitbench results export latest --to vegeta --out run.bin
  splitbench results export latest --to ndjson
  splitbench results export latest --to benchfmt`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&runs.dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(to); err != nil {
				return err
			}
			if out == "" && to == "vegeta" && isTerminal(a.stdout) {
				return fmt.Errorf("--to vegeta: not written to a terminal; name a file with --out")
			}
			f, err := runs.open(args)
			if err != nil {
				return err
			}
			if to == "prom" { // has no samples: the numbers of the report
				r, err := storedReport(f)
				if err != nil {
					return err
				}
				return toFile(out, a.stdout, func(w io.Writer) error { return telemetry.WriteOpenMetrics(w, r) })
			}
			if to == "benchfmt" {
				return a.benchfmt(f, out)
			}
			facts, err := bench.ExportFacts(f)
			if err != nil {
				return err
			}
			o := export.Options{Clock: export.Clock(clock), PerBackend: perBackend}
			samples, cut := whole(f)
			err = toFile(out, a.stdout, func(w io.Writer) error { return write(w, to, facts, o, samples) })
			if err == nil && *cut != nil {
				fmt.Fprintf(a.talk(), "splitbench: run %s is not whole, what it has was written: %v\n", f.ID, *cut)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", "ndjson", "vegeta (gob), csv, json (both as vegeta writes them), ndjson, benchfmt (for benchstat: a line for each round of a latency run, or each backend of a run) or prom")
	cmd.Flags().StringVar(&out, "out", "", "file to write; default: stdout")
	cmd.Flags().StringVar(&clock, "clock", string(export.ResponseTime), "which latency vegeta's formats hold: response (from the planned instant) or service")
	cmd.Flags().BoolVar(&perBackend, "per-backend", false, "name vegeta's attacks RUN/BACKEND, for a line each in its plot")
	runs.add(cmd)
	return cmd
}

func checkFormat(to string) error {
	switch to {
	case "vegeta", "csv", "json", "ndjson", "benchfmt", "prom":
		return nil
	}
	return fmt.Errorf("--to %q: want vegeta, csv, json, ndjson, benchfmt or prom", to)
}

// benchfmt writes what benchstat reads.
func (a *app) benchfmt(f store.Folder, out string) error {
	r, err := bench.ReplicatesOf(f)
	if err != nil {
		return err
	}
	err = toFile(out, a.stdout, func(w io.Writer) error {
		return export.Benchfmt(w, r.Benchmark, r.Key, r.Config, r.All, analyze.Quantile)
	})
	if err == nil && r.Cut != nil {
		fmt.Fprintf(a.talk(), "splitbench: run %s is not whole, what it has was written: %v\n", f.ID, r.Cut)
	}
	return err
}

func write(w io.Writer, to string, f export.Facts, o export.Options, samples iter.Seq2[attack.Result, error]) error {
	switch to {
	case "vegeta":
		return export.VegetaGob(w, f, o, samples)
	case "csv":
		return export.VegetaCSV(w, f, o, samples)
	case "json":
		return export.VegetaJSON(w, f, o, samples)
	}
	return export.NDJSON(w, f, samples)
}

// whole yields what a run has. A run that was cut short is exported as far as it goes, and cut says so.
func whole(f store.Folder) (samples iter.Seq2[attack.Result, error], cut *error) {
	cut = new(error)
	return func(yield func(attack.Result, error) bool) {
		var totals wire.Totals
		for r, err := range bench.Samples(f, &totals) {
			if errors.Is(err, agent.ErrNoEnd) || wire.Truncated(err) {
				*cut = err
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}, cut
}

// toFile writes a file whole or not at all; without a name it writes to stdout.
func toFile(name string, stdout io.Writer, fill func(io.Writer) error) error {
	if name == "" {
		return fill(stdout)
	}
	temp := name + ".part"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("--out %q: %w", name, err)
	}
	err = errors.Join(fill(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return fmt.Errorf("--out %q: %w", name, errors.Join(err, os.Remove(temp)))
	}
	return nil
}
