package export

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/splitbench/splitbench/attack"
)

// Row is one request in a table. Instants are of the wall clock, in nanoseconds since 1970; what did not happen, is not
// known or does not apply is null.
type Row struct {
	Seq            int64  `parquet:"seq,delta"`
	Target         string `parquet:"target,optional,dict"`
	Round          int32  `parquet:"round,optional"`
	Pod            string `parquet:"pod,optional,dict"`
	Backend        string `parquet:"backend,optional,dict"`
	Planned        int64  `parquet:"planned,delta,timestamp(nanosecond:utc)"`
	Sent           int64  `parquet:"sent,delta,timestamp(nanosecond:utc)"`
	FirstByte      int64  `parquet:"firstByte,delta,optional,timestamp(nanosecond:utc)"`
	Done           int64  `parquet:"done,delta,timestamp(nanosecond:utc)"`
	Connection     *int32 `parquet:"connection,optional"`
	StatusCode     int32  `parquet:"statusCode,optional"`
	Error          string `parquet:"error,optional,dict"`
	ResponseTimeNs int64  `parquet:"responseTimeNs,delta"`
	ServiceTimeNs  int64  `parquet:"serviceTimeNs,delta"`
}

func columns() []string {
	return []string{
		"seq", "target", "round", "pod", "backend", "planned", "sent", "firstByte", "done", "connection", "statusCode",
		"error", "responseTimeNs", "serviceTimeNs",
	}
}

// Table takes a run burst by burst, each with a clock of its own, and writes a row for each request in the order in
// which they come. It holds no more than rowGroup rows.
type Table struct {
	rows  []Row
	write func([]Row) error
	close func() error
}

// Rows of one row group of Parquet, which is built in memory, and rows that are handed over together.
const (
	rowGroup = 1 << 17
	batch    = 1 << 10
)

// NewParquet begins a Parquet file: timestamps are TIMESTAMP in UTC with nanoseconds, columns are compressed by Snappy,
// which every reader has.
func NewParquet(w io.Writer) *Table {
	out := parquet.NewGenericWriter[Row](w, parquet.MaxRowsPerRowGroup(rowGroup), parquet.Compression(&parquet.Snappy))
	return &Table{
		write: func(rows []Row) error {
			_, err := out.Write(rows)
			return err
		},
		close: out.Close,
	}
}

// NewCSV begins a CSV file with a line of names. Timestamps are RFC 3339 in UTC with nine decimals, null is empty. A
// text that a spreadsheet would take for a formula has an apostrophe before it.
func NewCSV(w io.Writer) *Table {
	buffered := bufio.NewWriterSize(w, 64<<10)
	out := csv.NewWriter(buffered)
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return out.Write(columns())
	}
	return &Table{
		write: func(rows []Row) error {
			err := begin()
			for _, r := range rows {
				if err == nil {
					err = out.Write(r.cells())
				}
			}
			return err
		},
		close: func() error {
			if err := begin(); err != nil {
				return err
			}
			if out.Flush(); out.Error() != nil {
				return out.Error()
			}
			return buffered.Flush()
		},
	}
}

// Add writes the results of one burst. Its errors are the writer's, ErrOptions, ErrSamples and the first of results.
func (t *Table) Add(f Facts, results iter.Seq2[attack.Result, error]) error {
	if err := f.validate(Options{}); err != nil {
		return err
	}
	if y := f.Started.UTC().Year(); y < 1970 || y > 2261 { // what nanoseconds since 1970 can say
		return fmt.Errorf("%w: run %s began in the year %d", ErrOptions, f.Run, y)
	}
	for r, err := range results {
		if err == nil {
			var row Row
			row, err = f.row(r)
			t.rows = append(t.rows, row)
		}
		if err == nil && len(t.rows) == batch {
			err = t.flush()
		}
		if err != nil {
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
	}
	return nil
}

// Close writes what is left, and the end of the file. Its errors are the writer's.
func (t *Table) Close() error {
	err := t.flush()
	if err == nil {
		err = t.close()
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func (t *Table) flush() error {
	err := t.write(t.rows)
	t.rows = t.rows[:0]
	return err
}

func (f Facts) row(r attack.Result) (Row, error) {
	backend, err := f.backend(r)
	if err != nil {
		return Row{}, err
	}
	began := f.Started.UnixNano()
	row := Row{
		Seq: int64(r.Seq), Target: text(f.Target), Round: int32(f.Round), Backend: text(backend),
		Planned: began + int64(r.Planned), Sent: began + int64(r.Sent), Done: began + int64(r.Done),
		StatusCode: int32(r.Status), ResponseTimeNs: int64(r.ResponseTime()), ServiceTimeNs: int64(r.ServiceTime()),
	}
	if len(f.Pods) > 0 {
		row.Pod = text(f.Pods[r.Seq%uint64(len(f.Pods))])
	}
	if r.Backend == attack.Unattributed {
		row.Backend = ""
	}
	if r.FirstByte != 0 {
		row.FirstByte = began + int64(r.FirstByte)
	}
	if r.Conn != attack.UnknownConn {
		row.Connection = &r.Conn
	}
	if r.Err != attack.OK {
		row.Error = r.Err.String()
	}
	return row, nil
}

// text is a name as Parquet's strings have to be.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (r Row) cells() []string {
	connection := ""
	if r.Connection != nil {
		connection = strconv.Itoa(int(*r.Connection))
	}
	return []string{
		strconv.FormatInt(r.Seq, 10), inert(r.Target), known(int64(r.Round)), inert(r.Pod), inert(r.Backend),
		instant(r.Planned), instant(r.Sent), instant(r.FirstByte), instant(r.Done), connection, known(int64(r.StatusCode)),
		inert(r.Error), strconv.FormatInt(r.ResponseTimeNs, 10), strconv.FormatInt(r.ServiceTimeNs, 10),
	}
}

func known(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func instant(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

// inert keeps a spreadsheet from taking a name for a formula.
func inert(s string) string {
	if strings.IndexAny(s, "=+-@\t\r\n＝＋－＠") == 0 { // the wide ones are for Excel the same
		return "'" + s
	}
	return s
}
