package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// Record is one line of NDJSON. The instants count from the start of the burst; what did not happen or is not known
// is null.
type Record struct {
	Seq         uint64  `json:"seq"`
	PlannedNs   int64   `json:"plannedNs"`
	SentNs      int64   `json:"sentNs"`
	FirstByteNs *int64  `json:"firstByteNs"`
	DoneNs      int64   `json:"doneNs"`
	Connection  *int32  `json:"connection"`
	StatusCode  *uint16 `json:"statusCode"`
	Backend     *string `json:"backend"`
	Error       *string `json:"error"` // error class; null where an answer of any status was read to its end
}

// NDJSON writes one Record a line, in the order in which results come. Its errors are w's, ErrSamples and the first of
// results, after which the file ends with a whole line.
func NDJSON(w io.Writer, f Facts, results iter.Seq2[attack.Result, error]) error {
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	for r, err := range results {
		if err == nil {
			var rec Record
			if rec, err = f.record(r); err == nil {
				err = enc.Encode(rec)
			}
		}
		if err != nil {
			_ = out.Flush() // the first error is the one to tell
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export run %s: %w", f.Run, err)
	}
	return nil
}

func (f Facts) record(r attack.Result) (Record, error) {
	backend, err := f.backend(r)
	if err != nil {
		return Record{}, err
	}
	rec := Record{
		Seq: r.Seq, PlannedNs: int64(r.Planned), SentNs: int64(r.Sent),
		FirstByteNs: happened(r.FirstByte), DoneNs: int64(r.Done),
	}
	if r.Conn != attack.UnknownConn {
		rec.Connection = &r.Conn
	}
	if r.Status != 0 {
		rec.StatusCode = &r.Status
	}
	if r.Backend != attack.Unattributed {
		rec.Backend = &backend
	}
	if r.Err != attack.OK {
		rec.Error = new(r.Err.String())
	}
	return rec, nil
}

func happened(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return new(int64(d))
}
