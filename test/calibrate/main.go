// Command calibrate measures how often the verdict of package analyze is wrong, and writes what it finds between the
// markers of docs/statistics.md.
//
// It draws counts, and whole runs of requests, from splits whose truth is known, has analyze judge them as a run would,
// and counts the outcomes. Every claim that docs/statistics.md makes about an error rate is a line of its table. It
// refuses to know how analyze decides: it calls only what a command calls.
//
// Invariant: the same grid gives the same table, whatever the number of cores: every scenario has a seed of its own, made
// from its name, and no seed is chosen for what it shows.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // this is a main; it only lives outside cmd/
}

// run returns the exit code: 0 where every claim holds, 1 where one does not, 2 for a wrong command line or file.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("calibrate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "", "rewrite the tables between the markers of this file")
	quick := flags.Bool("quick", false, "few repetitions, for a look; not together with -out")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *quick && *out != "" {
		fmt.Fprintln(stderr, "calibrate: want no arguments, and -out only without -quick: a table of few repetitions is not published")
		return 2
	}
	code, err := calibrate(*out, *quick, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "calibrate:", err)
		return 2
	}
	return code
}

func calibrate(out string, quick bool, stdout, stderr io.Writer) (int, error) {
	if out != "" { // before ten minutes of work, not after
		if _, err := os.Stat(out); err != nil {
			return 2, fmt.Errorf("-out: %w", err)
		}
	}
	grid, err := newGrid(quick)
	if err != nil {
		return 2, err
	}
	began := time.Now()
	rows, err := grid.measure(runtime.GOMAXPROCS(0), func(done, of int) {
		fmt.Fprintf(stderr, "\r%d of %d parts, %s ", done, of, time.Since(began).Round(time.Second))
	})
	fmt.Fprintln(stderr)
	if err != nil {
		return 2, err
	}
	table := renderTable(rows)
	requests, err := renderRequests()
	if err != nil {
		return 2, err
	}
	fmt.Fprint(stdout, requests, "\n", table)
	if out != "" {
		if err := rewrite(out, map[string]string{"requests": requests, "calibration": table}); err != nil {
			return 2, err
		}
	}
	if broken := failures(rows); len(broken) > 0 {
		for _, text := range broken {
			fmt.Fprintln(stderr, "NOT ok:", text)
		}
		return 1, nil
	}
	fmt.Fprintf(stderr, "all claims of %d scenarios hold\n", len(rows))
	return 0, nil
}
