// Command calibrate measures how often the verdict of package analyze is wrong, and writes what it finds between the
// markers of docs/statistics.md.
//
// It draws counts, and whole runs of requests, from splits whose truth is known, and response times of a known law;
// has analyze judge them as a run would, and counts the outcomes and the intervals that miss the truth. Every claim
// that docs/statistics.md makes about an error rate is a line of its tables. It refuses to know how analyze decides:
// it calls only what a command calls.
//
// Invariant: the same grid gives the same table, whatever the number of cores: every scenario has a seed of its own,
// made from its name, and no seed is chosen for what it shows.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
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
	only := flags.String("only", "", "measure one table: calibration, causes, latency or lateness")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *quick && *out != "" {
		fmt.Fprintln(stderr, "calibrate: want no arguments, and -out only without -quick: "+
			"a table of few repetitions is not published")
		return 2
	}
	tables := []table{
		{"calibration", newGrid, renderTable},
		{"causes", newCauseGrid, renderCauses},
		{"latency", newLatencyGrid, renderLatency},
		{"lateness", newLatenessGrid, renderLatency},
	}
	if *only != "" {
		i := slices.IndexFunc(tables, func(t table) bool { return t.name == *only })
		if i < 0 {
			fmt.Fprintf(stderr, "calibrate: -only %q: want calibration, causes, latency or lateness\n", *only)
			return 2
		}
		tables = tables[i : i+1]
	}
	code, err := calibrate(tables, *out, *quick, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "calibrate:", err)
		return 2
	}
	return code
}

// table is what stands between two markers of the document.
type table struct {
	name   string // of its markers
	grid   func(quick bool) (grid, error)
	render func(rows []row) string
}

func calibrate(tables []table, out string, quick bool, stdout, stderr io.Writer) (int, error) {
	if out != "" { // before a quarter of an hour of work, not after
		if _, err := os.Stat(out); err != nil {
			return 2, fmt.Errorf("-out: %w", err)
		}
	}
	requests, err := renderRequests()
	if err != nil {
		return 2, err
	}
	fmt.Fprintln(stdout, requests)
	texts := map[string]string{"requests": requests}
	var broken []string
	scenarios := 0
	for _, t := range tables {
		rows, err := t.measure(quick, stderr)
		if err != nil {
			return 2, err
		}
		texts[t.name] = t.render(rows)
		fmt.Fprint(stdout, texts[t.name])
		broken = append(broken, failures(rows)...)
		scenarios += len(rows)
	}
	if out != "" {
		if err := rewrite(out, texts); err != nil {
			return 2, err
		}
	}
	if len(broken) > 0 {
		for _, text := range broken {
			fmt.Fprintln(stderr, "NOT ok:", text)
		}
		return 1, nil
	}
	fmt.Fprintf(stderr, "all claims of %d scenarios hold\n", scenarios)
	return 0, nil
}

func (t table) measure(quick bool, stderr io.Writer) ([]row, error) {
	g, err := t.grid(quick)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	rows, err := g.measure(runtime.GOMAXPROCS(0), func(done, of int) {
		fmt.Fprintf(stderr, "\r%s: %d of %d parts, %s ", t.name, done, of, time.Since(began).Round(time.Second))
	})
	fmt.Fprintln(stderr)
	return rows, err
}
