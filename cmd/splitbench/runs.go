package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/store"
)

// runsFlags and an argument name stored runs.
type runsFlags struct {
	dir    string
	labels []string
}

func (r *runsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.dir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringArrayVarP(&r.labels, "label", "l", nil, "only runs with the label KEY=VALUE; repeatable, or with commas")
}

// parseLabels reads KEY=VALUE pairs, nil of none.
func parseLabels(flag string, texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	labels := map[string]string{}
	for _, text := range texts {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%s %q: want KEY=VALUE", flag, text)
		}
		labels[k] = v
	}
	return labels, nil
}

// wanted are the labels that are looked for. A comma separates pairs, as in kubectl's selectors.
func (r *runsFlags) wanted() (map[string]string, error) {
	var pairs []string
	for _, text := range r.labels {
		pairs = append(pairs, strings.Split(text, ",")...)
	}
	return parseLabels("--label", pairs)
}

// keep is the filter of the labels, nil without any.
func (r *runsFlags) keep() (func(store.Folder) bool, error) {
	labels, err := r.wanted()
	if err != nil || labels == nil {
		return nil, err
	}
	return func(f store.Folder) bool {
		s, err := bench.Summary(f)
		return err == nil && s.HasLabels(labels)
	}, nil
}

// open finds the one run that the arguments and labels name.
func (r *runsFlags) open(args []string) (store.Folder, error) {
	keep, err := r.keep()
	if err != nil {
		return store.Folder{}, err
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	} else if keep == nil {
		return store.Folder{}, errors.New("name a run: latest, an id or its beginning, or -l KEY=VALUE")
	}
	f, err := store.OpenAmong(r.dir, name, keep)
	if errors.Is(err, store.ErrAmbiguous) && name == "" {
		return f, fmt.Errorf("%w, or say latest -l %s", err, strings.Join(r.labels, ","))
	}
	return f, err
}

// all are the runs that the arguments name; without any, all that the labels fit.
func (r *runsFlags) all(args []string) ([]store.Folder, error) {
	if len(args) > 0 {
		var out []store.Folder
		for _, name := range args {
			f, err := r.open([]string{name})
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
		return out, nil
	}
	keep, err := r.keep()
	if err != nil {
		return nil, err
	}
	folders, err := store.List(r.dir)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var out []store.Folder
	for _, f := range folders {
		if keep == nil || keep(f) {
			out = append(out, f)
		}
	}
	return out, err
}

// inHome refuses runs outside the results folder: they are somebody else's to change.
func (r *runsFlags) inHome(f store.Folder) error {
	home, err := store.Open(r.dir, f.ID)
	if err == nil && sameFolder(home.Dir, f.Dir) {
		return nil
	}
	return fmt.Errorf("run %s: it is outside --results-dir %q: name that folder, or import the run first", f.ID, r.dir)
}
