package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/bucket"
	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// resultsDir is the value of --results-dir: a folder, or a bucket, whose folder on this machine stands in for it.
type resultsDir struct {
	dir    *string
	bucket string // "": a folder
}

func (r *resultsDir) Set(s string) (err error) {
	*r.dir, r.bucket = s, ""
	if bucket.Named(s) {
		r.bucket = s
		*r.dir, err = bucket.Folder(s)
	}
	return err
}

func (r *resultsDir) String() string { return cmp.Or(r.bucket, *r.dir) }
func (*resultsDir) Type() string     { return "string" }

// What a command does with the runs of --results-dir, which is an annotation of the flag.
const (
	useOfRuns  = "splitbench/runs"
	readsRuns  = "reads"
	writesRuns = "writes"
)

func runsFlag(flags *pflag.FlagSet, dir *string, use string) {
	*dir = "results"
	flags.Var(&resultsDir{dir: dir}, "results-dir", "folder of stored runs, or bucket: s3://, gs://, azblob:// or file://")
	flags.Lookup("results-dir").Annotations = map[string][]string{useOfRuns: {use}}
}

// resultsFlag is the flag of the folder that runs are written to.
func resultsFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	runsFlag(flags, &cfg.ResultsDir, writesRuns)
}

// storedFlag is the flag of the folder that runs are read from.
func storedFlag(flags *pflag.FlagSet, cfg *bench.Config) { runsFlag(flags, &cfg.ResultsDir, readsRuns) }

// folderFlag is the flag of the folder alone, whatever is in its bucket.
func folderFlag(flags *pflag.FlagSet, cfg *bench.Config) { runsFlag(flags, &cfg.ResultsDir, "") }

// folderOf is the folder on this machine that --results-dir means.
func folderOf(flags *pflag.FlagSet) string {
	r, ok := flags.Lookup("results-dir").Value.(*resultsDir)
	if !ok {
		return ""
	}
	return *r.dir
}

// inBucket does work on runs that lie in a bucket: what it reads is brought before, and what it wrote is uploaded
// meanwhile and after it. Where --results-dir is a folder, the work is all there is.
func (a *app) inBucket(ctx context.Context, flags *pflag.FlagSet, args []string, work func() error) error {
	name, use := bucketOf(flags)
	if name == "" || use == "" {
		return work()
	}
	b, err := bucket.Open(ctx, name)
	if err != nil {
		return err
	}
	defer b.Close()
	a.bucket = b
	damaged := a.bringRuns(ctx, flags, args, use)
	if errors.Is(damaged, store.ErrDamaged) {
		a.warn("%v", inWordsOf{damaged, b.Dir, b.Name()})
	} else if damaged != nil {
		return damaged
	}
	stop := a.keepSending(ctx)
	err = work()
	stop()
	unsent := a.sendRuns(ctx)
	switch {
	case err != nil:
		if unsent != nil {
			a.warn("%v", unsent)
		}
		return inWordsOf{err, b.Dir, b.Name()}
	case unsent == nil && damaged != nil:
		return exitCode(report.ExitInvalid)
	}
	return unsent
}

// bucketOf is the bucket that --results-dir names, if any, and what the command does with its runs.
func bucketOf(flags *pflag.FlagSet) (name, use string) {
	f := flags.Lookup("results-dir")
	if f == nil {
		return "", ""
	}
	dir, ok := f.Value.(*resultsDir)
	use = f.Annotations[useOfRuns][0]
	if dry := flags.Lookup("dry-run"); !ok || use == writesRuns && dry != nil && dry.Changed {
		return "", ""
	}
	return dir.bucket, use
}

// bringRuns brings the runs that the command may read, and asks whether those that it writes can be sent.
func (a *app) bringRuns(ctx context.Context, flags *pflag.FlagSet, args []string, use string) error {
	var baseline []string
	if f := flags.Lookup("baseline"); f != nil && f.Changed {
		baseline = []string{f.Value.String()}
	}
	switch {
	case flags.Changed("counts"): // which are judged without a run
		return nil
	case use == writesRuns:
		if err := a.bucket.Writable(ctx); err != nil || baseline == nil {
			return err
		}
		args = baseline
	}
	// The latest with a label or of a kind may be any; a name with a slash is no run's, and push means the latest then.
	if flags.Changed("label") || use == writesRuns && strings.HasPrefix(args[0], "latest") {
		args = nil
	}
	names := slices.Clone(args)
	for i, name := range names {
		if strings.Contains(name, "/") {
			names[i] = "latest"
		}
	}
	return a.bucket.Bring(ctx, names)
}

// Runs are uploaded while others are measured, and for a while after an interruption.
const (
	sendEvery = time.Minute
	sendGrace = 20 * time.Second
)

// keepSending uploads runs that have ended until it is stopped. What went wrong, the last upload says.
func (a *app) keepSending(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	tick := time.NewTicker(sendEvery)
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = a.bucket.Send(ctx)
			}
		}
	})
	return func() { cancel(); tick.Stop(); sending.Wait() }
}

func (a *app) sendRuns(ctx context.Context) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), sendGrace)
		defer cancel()
	}
	sent, err := a.bucket.Send(ctx)
	for _, id := range sent {
		a.say("run %s is in the bucket", id)
	}
	return err
}

// inWordsOf is an error that names the bucket where it means the folder that stands in for it.
type inWordsOf struct {
	error
	folder, bucket string
}

func (e inWordsOf) Unwrap() error { return e.error }

func (e inWordsOf) Error() string {
	return strings.NewReplacer(
		strconv.Quote(e.folder), strconv.Quote(e.bucket), "--results-dir "+e.folder, "--results-dir "+e.bucket,
	).Replace(e.error.Error())
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
	runsFlag(flags, &r.dir, readsRuns)
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
	if err == nil && store.SameDir(home.Dir, f.Dir) {
		return nil
	}
	return fmt.Errorf("run %s: it is outside --results-dir %q: name that folder, or import the run first", f.ID, r.dir)
}
