package export

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"net/http"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/splitbench/splitbench/attack"
)

// VegetaGob writes samples as `vegeta attack` does by default. results are pulled once, in any order that is not more
// than a million samples off; their first error ends the file and is returned. Other errors are w's, ErrOptions and
// ErrSamples.
func VegetaGob(w io.Writer, f Facts, o Options, results iter.Seq2[attack.Result, error]) error {
	return writeVegeta(w, vegeta.NewEncoder, f, o, results)
}

// VegetaCSV writes what `vegeta encode -to csv` does; everything else is as in VegetaGob.
func VegetaCSV(w io.Writer, f Facts, o Options, results iter.Seq2[attack.Result, error]) error {
	return writeVegeta(w, vegeta.NewCSVEncoder, f, o, results)
}

// VegetaJSON writes what `vegeta encode -to json` does; everything else is as in VegetaGob.
func VegetaJSON(w io.Writer, f Facts, o Options, results iter.Seq2[attack.Result, error]) error {
	return writeVegeta(w, vegeta.NewJSONEncoder, f, o, results)
}

func writeVegeta(w io.Writer, encoder func(io.Writer) vegeta.Encoder, f Facts, o Options, results samples) error {
	out := bufio.NewWriterSize(w, 64<<10)
	encode := encoder(out)
	for r, err := range Vegeta(f, o, results) {
		if err != nil {
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
		if err := encode.Encode(r); err != nil {
			return fmt.Errorf("export run %s: %w", f.Run, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export run %s: %w", f.Run, err)
	}
	return nil
}

// Vegeta yields the samples as vegeta's own results, ready for its encoders, metrics and plot. Each is a new value. A
// request without a complete answer has code 0, because vegeta counts any 2xx and 3xx as a success.
func Vegeta(f Facts, o Options, results iter.Seq2[attack.Result, error]) iter.Seq2[*vegeta.Result, error] {
	return func(yield func(*vegeta.Result, error) bool) {
		if err := f.validate(o); err != nil {
			yield(nil, err)
			return
		}
		method := cmp.Or(f.Method, http.MethodGet)
		// Without its monotonic reading, and in UTC: encoders would write the local zone.
		started := f.Started.Round(0).UTC()
		seq := map[string]uint64{}
		for r, err := range inOrder(results, o.instant, window) {
			if err != nil {
				yield(nil, err)
				return
			}
			backend, err := f.backend(r)
			if err != nil {
				yield(nil, err)
				return
			}
			name := f.Run
			if o.PerBackend {
				name += "/" + backend
			}
			v := &vegeta.Result{
				Attack: name, Seq: seq[name], Timestamp: started.Add(o.instant(r)), Latency: o.latency(r),
				Error: errorText(r), Method: method, URL: f.URL,
			}
			if r.Err == attack.OK {
				v.Code = r.Status
			}
			seq[name]++
			if !yield(v, nil) {
				return
			}
		}
	}
}
