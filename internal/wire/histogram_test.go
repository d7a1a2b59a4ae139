package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

func TestHistogramsComeBackAndAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	var sum Histogram
	var want uint64
	for range 3 {
		var h Histogram
		for range 1000 {
			h.Record(time.Duration(rng.IntN(5_000_000)))
		}
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var again Histogram
		if err := json.Unmarshal(b, &again); err != nil || again.Len() != 1000 {
			t.Fatalf("%d of 1000 came back, %v", again.Len(), err)
		}
		sum.Add(again)
		want += 1000
	}
	var got uint64
	last := time.Duration(-1)
	sum.Each(func(d time.Duration, n uint64) {
		if d <= last {
			t.Errorf("%s after %s", d, last)
		}
		last = d
		got += n
	})
	if got != want || sum.Len() != want {
		t.Errorf("%d and %d of %d", got, sum.Len(), want)
	}
}

// What is written HdrHistogram's own library reads, and the other way round; v1.2.0 of it, as are the stored runs of
// earlier versions, compressed better.
func TestHistogramsAreHdrHistograms(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 0))
	for _, longest := range []time.Duration{Unit, 20 * time.Microsecond, time.Millisecond, time.Minute, time.Hour} {
		var own, back Histogram
		oracle := hdrhistogram.New(1, maxTimed, digits)
		for range 500 {
			d := time.Duration(rng.Int64N(int64(longest)))
			own.Record(d)
			oracle.RecordValue(min(int64(d/Unit), maxTimed))
		}
		b, err := json.Marshal(own)
		if err != nil {
			t.Fatal(err)
		}
		read, err := hdrhistogram.Decode(bytes.Trim(b, `"`))
		if err != nil || !read.Equals(oracle) {
			t.Fatalf("up to %s: the library reads something else, %v", longest, err)
		}
		text, err := oracle.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`"`+string(text)+`"`), &back); err != nil {
			t.Fatal(err)
		}
		var want, got [][2]int64
		for _, bar := range oracle.Distribution() {
			if bar.Count > 0 {
				want = append(want, [2]int64{(bar.From + (bar.To-bar.From)/2) * int64(Unit), bar.Count})
			}
		}
		back.Each(func(d time.Duration, n uint64) { got = append(got, [2]int64{int64(d), int64(n)}) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("up to %s (-library +own):\n%s", longest, diff)
		}
	}
}

// Two digits: what a bucket stands for is off by 1 % at most.
func TestHistogramsKeepTwoDigits(t *testing.T) {
	for _, d := range []time.Duration{0, Unit, 17 * time.Microsecond, 1234567, time.Second, 10 * time.Minute} {
		var h Histogram
		h.Record(d)
		h.Each(func(got time.Duration, _ uint64) {
			if off := (got - d).Abs(); off > d/100+Unit {
				t.Errorf("%s became %s", d, got)
			}
		})
	}
	var h Histogram
	h.Record(-time.Second)
	h.Record(time.Hour)
	if h.Len() != 2 {
		t.Errorf("%d of 2 times out of range were counted", h.Len())
	}
}

func TestForeignHistogramsAreRefused(t *testing.T) {
	other := hdrhistogram.New(1, 1000, 3)
	other.RecordValue(5)
	text, err := other.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	long, err := json.Marshal(string(bytes.Repeat([]byte("A"), maxEncoded+1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{
		"another geometry": `"` + string(text) + `"`, "no base64": `"***"`, "no string": `7`, "too long": string(long), "cut": `"` + string(text[:20]) + `"`,
	} {
		var h Histogram
		if err := json.Unmarshal([]byte(in), &h); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var h Histogram
	if err := json.Unmarshal([]byte(`""`), &h); err != nil || h.Len() != 0 {
		t.Errorf("of nothing: %d, %v", h.Len(), err)
	}
}

func FuzzHistogram(f *testing.F) {
	var h Histogram
	h.Record(time.Millisecond)
	b, err := json.Marshal(h)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`""`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var h, sum Histogram
		if json.Unmarshal(in, &h) != nil {
			return
		}
		sum.Add(h)
		if sum.Len() != h.Len() {
			t.Fatalf("%d of %d were added", sum.Len(), h.Len())
		}
	})
}

// Runs that earlier versions stored can be read, sessions with earlier agents cannot.
func TestStoredFilesOfVersion1AreRead(t *testing.T) {
	file := stream(t, "hello")
	file[3] = 1
	if frames, err := readAll(NewStoredReader(bytes.NewReader(file))); !errors.Is(err, io.EOF) || len(frames) != 1 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
	var version *VersionError
	if _, err := readAll(NewReader(bytes.NewReader(file))); !errors.As(err, &version) {
		t.Errorf("a live stream of version 1: %v", err)
	}
	file[3] = Version + 1
	if _, err := readAll(NewStoredReader(bytes.NewReader(file))); !errors.As(err, &version) {
		t.Errorf("a stored file of a later version: %v", err)
	}
}

// What a TICK costs both ends, five times over.
func BenchmarkHistogram(b *testing.B) {
	var h, back, sum Histogram
	rng := rand.New(rand.NewPCG(11, 0))
	for range 2000 {
		h.Record(time.Millisecond + time.Duration(rng.ExpFloat64()*float64(time.Millisecond)))
	}
	text, err := json.Marshal(h)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			json.Marshal(h)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			json.Unmarshal(text, &back)
			sum.Add(back)
		}
	})
}
