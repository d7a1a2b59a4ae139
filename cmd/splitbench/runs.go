package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// resultsFlag is the flag of the folder of stored runs.
func resultsFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.StringVar(&cfg.ResultsDir, "results-dir", "results", "folder of stored runs")
}

// labelFlag names what is kept with a run.
func labelFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	readEach(flags, "label", "KEY=VALUE to keep with the run; repeatable", readLabels(&cfg.Labels))
}

// readLabels reads KEY=VALUE.
func readLabels(to *map[string]string) func(string) error {
	return func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return fmt.Errorf("--label %q: want KEY=VALUE", s)
		}
		put(to, k, v)
		return nil
	}
}

// storedFlags and an argument name stored runs.
type storedFlags struct {
	dir    string
	labels map[string]string // nil: any
}

func (r *storedFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&r.dir, "results-dir", "results", "folder of stored runs")
	readEach(flags, "label", "only runs with the label KEY=VALUE; repeatable, or with commas", r.readLabels)
	flags.Lookup("label").Shorthand = "l"
}

// readLabels reads KEY=VALUE pairs. Commas separate them, as in kubectl's selectors.
func (r *storedFlags) readLabels(s string) error {
	for pair := range strings.SplitSeq(s, ",") {
		if err := readLabels(&r.labels)(pair); err != nil {
			return err
		}
	}
	return nil
}

func (r *storedFlags) complete(*bench.Config) error { return nil }

// keep returns the filter by labels, or nil without any.
func (r *storedFlags) keep() func(store.Folder) bool {
	if r.labels == nil {
		return nil
	}
	return func(f store.Folder) bool {
		s, err := record.Summary(f)
		return err == nil && s.HasLabels(r.labels)
	}
}

// open finds the one run that the arguments and labels name.
func (r *storedFlags) open(args []string) (store.Folder, error) {
	name := ""
	if len(args) > 0 {
		name = args[0]
	} else if r.labels == nil {
		return store.Folder{}, errors.New("name a run: latest, an id or its beginning, or -l KEY=VALUE")
	}
	f, err := store.OpenAmong(r.dir, name, r.keep())
	if errors.Is(err, store.ErrAmbiguous) && name == "" {
		return f, fmt.Errorf("%w, or say latest -l %s", err, labelText(r.labels))
	}
	if errors.Is(err, store.ErrNotFound) {
		return f, fmt.Errorf("%w%s", err, r.orList(name))
	}
	return f, err
}

// orList is the nearest name of a run, else the command that lists them.
func (r *storedFlags) orList(name string) string {
	folders, err := store.List(r.dir)
	if err != nil || len(folders) == 0 {
		return ""
	}
	names := []string{"latest"}
	for _, f := range folders {
		names = append(names, f.ID)
	}
	return "; " + cmp.Or(nearest.Question(name, names),
		"to see them: "+untrusted.Shell("splitbench", "results", "list", "--results-dir", r.dir))
}

// each opens runs by their names.
func (r *storedFlags) each(names []string) ([]store.Folder, error) {
	var out []store.Folder
	for _, name := range names {
		f, err := r.open([]string{name})
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// all returns the runs that the arguments name; without arguments, all with the labels.
func (r *storedFlags) all(args []string) ([]store.Folder, error) {
	if len(args) > 0 {
		return r.each(args)
	}
	var out []store.Folder
	folders, err := store.List(r.dir)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	keep := r.keep()
	for _, f := range folders {
		if keep == nil || keep(f) {
			out = append(out, f)
		}
	}
	return out, err
}

// inHome refuses runs outside the results folder: they are somebody else's to change.
func (r *storedFlags) inHome(f store.Folder) error {
	home, err := store.Open(r.dir, f.ID)
	if err == nil && sameFolder(home.Dir, f.Dir) {
		return nil
	}
	return fmt.Errorf("run %s: it is outside --results-dir %q: name that folder, or import the run first", f.ID, r.dir)
}

func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
