package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// vegeta writes its results to a file, as it does by default. rate 0 is full speed.
func (b *bench) vegeta(rate int) program {
	return func(ctx context.Context, d time.Duration) (measured, error) {
		file := filepath.Join(b.dir, "vegeta.bin")
		defer os.Remove(file)
		n := strconv.Itoa(b.connections)
		_, cpu, took, err := b.execute(ctx, "GET "+b.url, filepath.Join(b.bin, "vegeta"), "attack", "-rate",
			strconv.Itoa(rate), "-duration", d.String(), "-workers", n, "-max-workers", n, "-connections", n, "-output", file)
		if err != nil {
			return measured{}, err
		}
		m := measured{cpu: cpu, took: took}
		return m, m.readGob(file, rate)
	}
}

// readGob counts a file of vegeta's. It has no planned instants; they follow from the rate, and their origin is taken
// to be where it makes the lags smallest, which flatters.
func (m *measured) readGob(file string, rate int) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	decode := vegeta.NewDecoder(bufio.NewReader(f))
	var first time.Time
	var lags, latencies []float64
	for {
		var r vegeta.Result
		if err := decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if first.IsZero() {
			first = r.Timestamp
		}
		m.requests++
		latencies = append(latencies, us(r.Latency))
		if rate > 0 {
			lags = append(lags, us(r.Timestamp.Sub(first))-float64(r.Seq)*1e6/float64(rate))
		}
	}
	m.timings(lags, latencies)
	return nil
}

// readNDJSON takes the service times of our own results.
func (m *measured) readNDJSON(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var times []float64
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var r struct{ SentNs, DoneNs int64 }
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		times = append(times, us(time.Duration(r.DoneNs-r.SentNs)))
	}
	m.p50, m.p99 = quantile(times, 0.5), quantile(times, 0.99)
	return nil
}

func (m *measured) timings(lags, latencies []float64) {
	m.p50, m.p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
	m.lagP50, m.lagP99 = math.NaN(), math.NaN()
	if len(lags) > 0 {
		origin := slices.Min(lags)
		m.lagP50, m.lagP99 = quantile(lags, 0.5)-origin, quantile(lags, 0.99)-origin
	}
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[int(q*float64(len(x)-1))]
}
