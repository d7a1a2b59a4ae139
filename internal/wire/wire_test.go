package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
)

func stream(t *testing.T, payloads ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for i, p := range payloads {
		if err := w.Write(Type(i%int(numTypes-1))+1, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func readAll(r *Reader) (frames []Frame, err error) {
	for {
		f, err := r.Next()
		if err != nil {
			return frames, err
		}
		f.Payload, f.Raw = bytes.Clone(f.Payload), bytes.Clone(f.Raw)
		frames = append(frames, f)
	}
}

func TestFramesComeBack(t *testing.T) {
	want := []string{"", "a", strings.Repeat("b", 127), strings.Repeat("c", 128), strings.Repeat("d", MaxPayload)}
	frames, err := readAll(NewReader(bytes.NewReader(stream(t, want...))))
	if !errors.Is(err, io.EOF) || len(frames) != len(want) {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	for i, f := range frames {
		if string(f.Payload) != want[i] || f.Seq != uint32(i) || f.Type != Type(i+1) {
			t.Errorf("frame %d: %s number %d with %d bytes", i, f.Type, f.Seq, len(f.Payload))
		}
	}
}

func TestRawFramesMakeAStoredFile(t *testing.T) {
	frames, _ := readAll(NewReader(bytes.NewReader(stream(t, "0", "1", "2", "3"))))
	file := Opening()
	file = append(file, frames[0].Raw...)
	file = append(file, frames[3].Raw...) // 1 and 2 are not stored
	got, err := readAll(NewStoredReader(bytes.NewReader(file)))
	if !errors.Is(err, io.EOF) || len(got) != 2 || string(got[1].Payload) != "3" {
		t.Errorf("stored reader: %d frames, %v", len(got), err)
	}
	if _, err := readAll(NewReader(bytes.NewReader(file))); errors.Is(err, io.EOF) {
		t.Error("a live reader accepted a gap")
	}
}

func TestCutAnywhere(t *testing.T) {
	whole := stream(t, "first", "second", "third")
	ends := map[int]int{0: 0} // length of the stream: frames in it
	r := NewReader(bytes.NewReader(whole))
	for n := 1; ; n++ {
		if _, err := r.Next(); err != nil {
			break
		}
		ends[int(r.offset)] = n
	}
	for cut := range len(whole) {
		frames, err := readAll(NewReader(bytes.NewReader(whole[:cut])))
		var version *VersionError
		switch n, clean := ends[cut]; {
		case clean:
			if !errors.Is(err, io.EOF) || len(frames) != n {
				t.Errorf("cut at %d, between frames: %d frames, %v", cut, len(frames), err)
			}
		case cut < len(magic):
			if !errors.As(err, &version) {
				t.Errorf("cut at %d, in the opening: %v", cut, err)
			}
		case cut == len(magic): // an opening and nothing else: no frame was begun
			if !errors.Is(err, io.EOF) {
				t.Errorf("cut at %d: %v", cut, err)
			}
		case !Truncated(err):
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	whole := stream(t, "first", "second")
	for i := range whole {
		for bit := range 8 {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << bit
			if frames, err := readAll(NewReader(bytes.NewReader(bad))); errors.Is(err, io.EOF) && len(frames) == 2 {
				t.Errorf("bit %d of byte %d flipped: nobody noticed", bit, i)
			}
		}
	}
}

func TestForeignStreams(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"a shell's complaint": {"sh: 1: splitbench-agent: not found\n", `not a splitbench stream: it starts with "sh: "`},
		"another version":     {"SBW\x07........", "protocol version 7, this program speaks 2"},
		"huge length":         {string(Opening()) + "\xff\xff\xff\xff\xff\xff", "impossible frame length"},
		"missing frame":       {string(append(Opening(), appendFrame(nil, Tick, 1, nil)...)), "frame number 1 after -1"},
		"unknown type":        {string(append(Opening(), appendFrame(nil, 99, 0, nil)...)), "unknown frame type 99"},
	} {
		if _, err := readAll(NewReader(strings.NewReader(tt.in))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
}

func TestWriterRefusesWhatNoReaderTakes(t *testing.T) {
	if err := NewWriter(io.Discard).Write(Body, make([]byte, MaxPayload+1)); err == nil {
		t.Error("a payload above the limit was written")
	}
}

// results are like those of a real burst: 8 connections, 1.0 to 1.5 ms, 1,000/s, answers a little out of order.
func results(n int, seed uint64) []attack.Result {
	rng := rand.New(rand.NewPCG(seed, 0))
	rs := make([]attack.Result, n)
	for i := range rs {
		planned := time.Duration(i) * time.Millisecond
		sent := planned + time.Duration(rng.IntN(300))*time.Microsecond
		first := sent + time.Millisecond + time.Duration(rng.IntN(5000))*Unit
		rs[i] = attack.Result{
			Seq: uint64(i), Planned: planned, Sent: sent.Truncate(Unit), FirstByte: first, Done: first + 40*time.Microsecond,
			Conn: int32(rng.IntN(8)), Status: 200, Backend: int16(rng.IntN(2)),
		}
	}
	for range n / 10 {
		i := rng.IntN(n - 1)
		rs[i], rs[i+1] = rs[i+1], rs[i]
	}
	return rs
}

func TestSamplesComeBack(t *testing.T) {
	odd := []attack.Result{
		{Seq: 9, Planned: time.Hour, Sent: time.Hour, Done: 2 * time.Hour, Conn: attack.UnknownConn, Backend: attack.Unattributed, Err: attack.ErrTimeout},
		{Seq: 3, Sent: 300, FirstByte: 100, Done: 500, Conn: 1 << 30, Status: 999, Backend: 32767}, // instants out of order are kept too
		{Seq: 1 << 63, Planned: 5 * Unit, Sent: 5 * Unit, FirstByte: 5 * Unit, Done: 5 * Unit, Status: 503, Backend: attack.Unattributed},
	}
	for name, want := range map[string][]attack.Result{"none": nil, "odd": odd, "real": results(1000, 1)} {
		got, err := DecodeSamples(nil, AppendSamples(nil, want))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestSamplesAreSmall(t *testing.T) {
	rs := results(10_000, 2)
	size := 0
	for len(rs) > 0 {
		size += len(AppendSamples(nil, rs[:1000]))
		rs = rs[1000:]
	}
	if per := float64(size) / 10_000; per > 9 {
		t.Errorf("a sample takes %.1f bytes, want at most 9", per)
	} else {
		t.Logf("a sample takes %.2f bytes", per)
	}
}

func TestCutSamplesGiveNoResults(t *testing.T) {
	block := AppendSamples(nil, results(20, 3))
	for cut := range len(block) {
		if got, err := DecodeSamples(nil, block[:cut]); err == nil || len(got) != 0 {
			t.Errorf("cut at %d of %d: %d results, %v", cut, len(block), len(got), err)
		}
	}
	if _, err := DecodeSamples(nil, append(block, 0)); err == nil {
		t.Error("a byte too many was accepted")
	}
}

func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, t := range []Type{Hello, Samples, End} {
		if err := w.Write(t, []byte("payload")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add([]byte("SBW\x01\x05"))
	f.Fuzz(func(t *testing.T, in []byte) {
		frames, err := readAll(NewReader(bytes.NewReader(in)))
		if err == nil {
			t.Fatal("a reader must end with an error")
		}
		// What was accepted is exactly what its raw bytes say.
		file := Opening()
		for _, fr := range frames {
			file = append(file, fr.Raw...)
		}
		if !bytes.HasPrefix(in, file) && len(frames) > 0 {
			t.Fatal("raw frames are not the input's bytes")
		}
	})
}

func FuzzDecodeSamples(f *testing.F) {
	f.Add(AppendSamples(nil, results(5, 4)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, in []byte) {
		rs, err := DecodeSamples(nil, in)
		if err != nil {
			if len(rs) != 0 {
				t.Fatal("results besides an error")
			}
			return
		}
		again, err := DecodeSamples(nil, AppendSamples(nil, rs))
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		for i := range rs { // a first byte at instant 0 means none
			if again[i].Seq != rs[i].Seq || again[i].Status != rs[i].Status || again[i].Backend != rs[i].Backend {
				t.Fatalf("sample %d: %+v became %+v", i, rs[i], again[i])
			}
		}
	})
}

func BenchmarkAppendSamples(b *testing.B) {
	rs := results(1000, 5)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendSamples(buf[:0], rs)
	}
	b.ReportMetric(float64(len(buf))/1000, "bytes/sample")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}

func ExampleReader() {
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Write(Ping, nil)
	w.Write(Stop, nil)
	cut := b.Bytes()[:b.Len()-1]
	r := NewReader(bytes.NewReader(cut))
	f, err := r.Next()
	fmt.Println(f.Type, err)
	_, err = r.Next()
	fmt.Println(Truncated(err))
	// Output:
	// PING <nil>
	// true
}

// What no kernel counts is refused, not reported.
func TestKeptOfAHostileAgent(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]Kept{
		"more throttled than there were": {Periods: 3, Throttled: 4},
		"negative":                       {Periods: 3, Throttled: -1},
		"a delay of an age":              {WaitUs: 1 << 51},
		"a novel":                        {Unread: strings.Repeat("x", 1000)},
	} {
		if k.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := (Kept{Periods: 10, Throttled: 4, WaitUs: 7, Unread: "schedstat of the threads"}).Check(); err != nil {
		t.Error(err)
	}
}

// What no engine measures is not believed, whoever says so.
func TestAbsurdSamplesAreRefused(t *testing.T) {
	for name, change := range map[string]func(*attack.Result){
		"a status of 65535":        func(r *attack.Result) { r.Status = 65535 },
		"a status of 99":           func(r *attack.Result) { r.Status = 99 },
		"an answer without status": func(r *attack.Result) { r.Status = 0 },
		"an unknown class":         func(r *attack.Result) { r.Err = 200 },
		"a lost result":            func(r *attack.Result) { r.Err = attack.ErrLost },
		"done before it was sent":  func(r *attack.Result) { r.Done = r.Sent - Unit },
		"done before it was due":   func(r *attack.Result) { r.Planned = r.Done + Unit },
	} {
		rs := results(3, 1)
		if _, err := DecodeSamples(nil, AppendSamples(nil, rs)); err != nil {
			t.Fatal(err)
		}
		change(&rs[1])
		if _, err := DecodeSamples(nil, AppendSamples(nil, rs)); err == nil {
			t.Errorf("%s is believed", name)
		}
	}
}
