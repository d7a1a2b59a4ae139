package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// storedReport reads the report that a run wrote; a run that was killed before wrote none, and is judged from what it
// kept.
func storedReport(f store.Folder) (report.Report, error) {
	if err := f.Whole(); err != nil {
		return report.Report{}, err
	}
	b, err := f.ReadFile(record.VerdictFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, err
	}
	if err != nil {
		r, judgeErr := judge.Analyze(f, nil)
		if judgeErr != nil {
			return r, fmt.Errorf("%w (and it cannot be judged again: %w)", err, judgeErr)
		}
		return r, nil
	}
	r, err := report.ReadJSON(bytes.NewReader(b))
	if err != nil {
		return r, fmt.Errorf("report of run %s: %w", f.ID, err)
	}
	if r.Run != nil {
		r.Run.Dir = f.Dir
	}
	return r, nil
}

// named reads the report of a run, or of a file that holds one.
func (a *app) named(runs *storedFlags, args []string) (report.Report, error) {
	if len(args) == 1 && isFile(args[0]) {
		f, err := a.open(args[0])
		if err != nil {
			return report.Report{}, fmt.Errorf("report: %w", err)
		}
		defer f.Close()
		r, ok, err := readReport(args[0], bufio.NewReader(f))
		if err == nil && !ok {
			err = report.ErrNotReport
		}
		if err != nil {
			return r, fmt.Errorf("report %s: %w", args[0], err)
		}
		return r, nil
	}
	f, err := runs.open(args)
	if err != nil {
		return report.Report{}, err
	}
	return storedReport(f)
}

// headOfFile is how many bytes tell the type of a file.
const headOfFile = 512

// readReport reads a report from a page or a JSON document; ok says that it is one of those, whether or not it can be
// read. Where it is not, nothing was taken. In the folder of a run it is as good as the run.
func readReport(name string, whole *bufio.Reader) (r report.Report, ok bool, err error) {
	if run, err := store.Open("", filepath.Dir(name)+"/"); err == nil && name != "-" {
		if err := run.Whole(); err != nil {
			return r, true, err
		}
	}
	head, err := whole.Peek(headOfFile)
	if err != nil && !errors.Is(err, io.EOF) {
		return r, false, err
	}
	switch {
	case report.IsHTML(head):
		r, err = report.ReadHTML(whole)
		return r, true, err
	case report.IsJSON(head):
		r, err = report.ReadJSON(whole)
		return r, true, err
	}
	return r, false, nil
}

func newReport(a *app) *cobra.Command {
	var (
		runs   storedFlags
		result = resultFlags{failOn: report.FailOnNever}
	)
	cmd := &cobra.Command{
		Use:   "report [RUN|FILE]",
		Short: "Show the report of a stored run, or one that was sent as a file",
		Example: `  splitbench report latest -o markdown
  splitbench report latest -o html > report.html
  splitbench report report.html
  splitbench report - < report.html`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: runsAndFiles,
	}
	work := func(ctx context.Context, args []string) error {
		r, err := a.named(&runs, args)
		if err != nil {
			return err
		}
		return a.conclude(ctx, r, result)
	}
	return a.command(cmd, nil, work,
		under("Run", &runs),
		under("Output", a.reportFlag(&result.render), &result.sinks),
		under("Verdict", failOnFlag(&result.failOn)),
	)
}
