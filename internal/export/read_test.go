package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/splitbench/splitbench/attack"
)

// kept is what vegeta keeps of five requests: an answer, one that a header tells apart, an error status with a body, a
// request without an answer, and one sent before the file's first but answered after it.
func kept() []vegeta.Result {
	at := time.Date(2026, 11, 22, 7, 15, 2, 0, time.UTC)
	const url = "http://podinfo:9898/"
	return []vegeta.Result{
		{
			Attack: "a", Seq: 1, Code: 200, Timestamp: at, Latency: 3 * time.Millisecond, BytesIn: 9, Method: "GET", URL: url,
			Body: []byte("{\"a\":\n1}"), Headers: http.Header{"Content-Type": {"application/json"}},
		},
		{
			Attack: "a", Seq: 2, Code: 200, Timestamp: at.Add(2 * time.Millisecond), Latency: 4 * time.Millisecond, Method: "GET", URL: url,
			Headers: http.Header{"X-Cluster": {"east"}},
		},
		{
			Attack: "a", Seq: 3, Code: 503, Timestamp: at.Add(4 * time.Millisecond), Latency: time.Millisecond, Method: "GET", URL: url,
			Error: "503 Service Unavailable", Body: []byte("no healthy upstream"), Headers: http.Header{},
		},
		{
			Attack: "a", Seq: 4, Timestamp: at.Add(6 * time.Millisecond), Latency: time.Second, Method: "GET", URL: url,
			Error: "Get \"http://podinfo:9898/\": dial tcp: lookup podinfo: no such host,\na second line",
		},
		{Attack: "a", Seq: 0, Code: 200, Timestamp: at.Add(-time.Millisecond), Latency: 5 * time.Second, Method: "GET", URL: url, Body: []byte("late")},
	}
}

type encoder struct {
	name string
	make func(io.Writer) vegeta.Encoder
}

func encoders() []encoder {
	return []encoder{{"gob", vegeta.NewEncoder}, {"csv", vegeta.NewCSVEncoder}, {"json", vegeta.NewJSONEncoder}}
}

// encoded is the file, and where in it each result ends.
func (e encoder) encoded(t testing.TB, all []vegeta.Result) (file []byte, ends []int) {
	t.Helper()
	var b bytes.Buffer
	encode := e.make(&b)
	for i := range all {
		if err := encode.Encode(&all[i]); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, b.Len())
	}
	return b.Bytes(), ends
}

func readAll(r io.Reader) (all []Answer, err error) {
	for a, err := range ReadVegeta(r) {
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

func TestReadVegetaGivesBackWhatVegetaWrote(t *testing.T) {
	const ms = time.Millisecond
	want := []attack.Result{
		{Seq: 1, Done: 3 * ms, Status: 200},
		{Seq: 2, Planned: 2 * ms, Sent: 2 * ms, Done: 6 * ms, Status: 200},
		{Seq: 3, Planned: 4 * ms, Sent: 4 * ms, Done: 5 * ms, Status: 503},
		{Seq: 4, Planned: 6 * ms, Sent: 6 * ms, Done: 1006 * ms, Err: attack.ErrOther},
		{Seq: 0, Planned: -ms, Sent: -ms, Done: 4999 * ms, Status: 200},
	}
	for _, e := range encoders() {
		t.Run(e.name, func(t *testing.T) {
			file, _ := e.encoded(t, kept())
			all, err := readAll(iotest.OneByteReader(bytes.NewReader(file)))
			if err != nil || len(all) != len(want) {
				t.Fatalf("%d results, %v", len(all), err)
			}
			for i, a := range all {
				want[i].Conn, want[i].Backend = attack.UnknownConn, attack.Unattributed
				if d := cmp.Diff(want[i], a.Result); d != "" {
					t.Errorf("result %d (-want +got):\n%s", i, d)
				}
				v := kept()[i]
				if string(a.Body) != string(v.Body) || !a.At.Equal(v.Timestamp) || a.URL != v.URL {
					t.Errorf("result %d: %+v", i, a)
				}
			}
			if all[0].Header.Get("Content-Type") != "application/json" || all[1].Header.Get("X-Cluster") != "east" {
				t.Errorf("headers %v, %v", all[0].Header, all[1].Header)
			}
		})
	}
}

// What splitbench exports, splitbench reads.
func TestReadVegetaReadsExports(t *testing.T) {
	t.Parallel()
	for _, f := range formats() {
		var b bytes.Buffer
		if err := f.write(&b, facts, Options{}, seq(burst())); err != nil {
			t.Fatal(err)
		}
		all, err := readAll(&b)
		if err != nil || len(all) != requests {
			t.Errorf("%s: %d results, %v", f.name, len(all), err)
		}
	}
}

// A file that is cut anywhere but between two results gives the results that are whole, then an error; vegeta's own
// decoders take many a cut for the end of the file.
func TestReadVegetaSeesEveryCut(t *testing.T) {
	for _, e := range encoders() {
		t.Run(e.name, func(t *testing.T) {
			file, ends := e.encoded(t, kept())
			whole := 0
			for n := range file {
				if whole < len(ends) && n == ends[whole] {
					whole++
				}
				all, err := readAll(bytes.NewReader(file[:n]))
				if whole > 0 && n == ends[whole-1] {
					if err != nil || len(all) != whole {
						t.Errorf("cut at %d, between results: %d of %d, %v", n, len(all), whole, err)
					}
					continue
				}
				want := ErrDamaged
				if whole == 0 {
					want = ErrForeign
					if e.name == "csv" && err != nil && errors.Is(err, ErrDamaged) {
						want = ErrDamaged // all fields are there, but the line has no end
					}
				}
				if !errors.Is(err, want) || len(all) != whole {
					t.Errorf("cut at %d: %d results, %v; want %d, %v", n, len(all), err, whole, want)
				}
				if want == ErrDamaged && err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%d whole results", whole)) {
					t.Errorf("cut at %d: %v does not say %d", n, err, whole)
				}
			}
		})
	}
}

func TestReadVegetaRefuses(t *testing.T) {
	csv, _ := encoders()[1].encoded(t, kept()[:1])
	json, _ := encoders()[2].encoded(t, kept()[:1])
	line := strings.TrimSuffix(string(csv), "\n")
	for name, c := range map[string]struct {
		file string
		want error
	}{
		"nothing":                  {"", ErrForeign},
		"text":                     {"hello\nworld\n", ErrForeign},
		"a stored run":             {"SPLITBEN\x00\x01\x02\x03", ErrForeign},
		"a huge gob message":       {"\xf8\xff\xff\xff\xff\xff\xff\xff\xff", ErrForeign},
		"zeros":                    {strings.Repeat("\x00", 1000), ErrForeign},
		"NDJSON of splitbench":     {`{"seq":0,"plannedNs":0,"sentNs":100,"doneNs":200,"statusCode":200,"backend":"a"}` + "\n", ErrForeign},
		"an older CSV":             {"1573213702123456789,200,3000000,0,9,,e30=\n", ErrForeign},
		"time 0":                   {"0" + line[strings.Index(line, ","):] + "\n", ErrForeign},
		"CSV, then text":           {string(csv) + "hello\n", ErrDamaged},
		"CSV, negative latency":    {strings.Replace(string(csv), ",3000000,", ",-3000000,", 1), ErrDamaged},
		"CSV, then a year and on":  {string(csv) + "1900000000000000000" + line[strings.Index(line, ","):] + "\n", ErrDamaged},
		"CSV, bad base64":          {string(csv) + strings.Replace(string(csv), ",GET,", "!,GET,", 1), ErrDamaged},
		"CSV, headers that end":    {string(csv) + line[:strings.LastIndex(line, ",")] + ",Q29udA==\n", ErrDamaged},
		"JSON, then a blank line":  {string(json) + "\n" + string(json), ErrDamaged},
		"JSON, a line breaks off":  {string(json) + string(json[:30]) + "\n" + string(json), ErrDamaged},
		"JSON, the last does":      {string(json) + "{\n", ErrDamaged},
		"JSON, one without a time": {string(json) + "{}\n", ErrDamaged},
	} {
		all, err := readAll(strings.NewReader(c.file))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %d results, %v; want %v", name, len(all), err, c.want)
		}
	}
}

func TestReadVegetaPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	file, ends := encoders()[0].encoded(t, kept())
	for _, n := range []int{0, 10, ends[2] + 3} {
		_, err := readAll(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrForeign) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// endless is a line without an end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestReadVegetaGivesUpAResultWithoutEnd(t *testing.T) {
	t.Parallel()
	var e endless
	if _, err := readAll(&e); !errors.Is(err, ErrForeign) || e.read > maxResult+1 {
		t.Errorf("%v after %d bytes", err, e.read)
	}
}

func FuzzReadVegeta(f *testing.F) {
	for _, e := range encoders() {
		file, ends := e.encoded(f, kept())
		f.Add(file)
		f.Add(file[:ends[2]+5])
	}
	f.Add([]byte("\x7f\xff\x81"))
	f.Fuzz(func(t *testing.T, file []byte) {
		failed := false
		for a, err := range ReadVegeta(bytes.NewReader(file)) {
			if failed {
				t.Fatal("something comes after an error")
			}
			if failed = err != nil; failed {
				continue
			}
			r := a.Result
			if r.Done < r.Sent || r.Planned != r.Sent || (r.Status == 0) != (r.Err != attack.OK) || r.Backend != attack.Unattributed {
				t.Fatalf("result %+v", r)
			}
			if _, err := a.At.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Files as people have them: what they are is said, and what to do.
func TestForeignFilesAreNamed(t *testing.T) {
	t.Parallel()
	const result = `1573213702123456789,200,3000000,0,9,,e30=,,0,GET,http://a/,` + "\n"
	for want, file := range map[string]string{
		"line 1 is a header":       "timestamp,code,latency,bytes_out,bytes_in,error,body,attack,seq,method,url,headers\n" + result,
		"it is gzipped":            "\x1f\x8b\x08\x00\x00\x00\x00\x00",
		"a byte order mark":        "\xef\xbb\xbf" + result,
		"it is a summary":          `{"latencies":{"total":300},"requests":1200,"rate":200}` + "\n",
		"write one result a line":  `[{"attack":"","seq":0}]` + "\n",
		"it is empty":              "",
		"as gob, CSV or JSON":      "hello\nworld\n",
		"want a file of vegeta 12": "<html>, and more",
	} {
		for _, err := range ReadVegeta(strings.NewReader(file)) {
			if err == nil || !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", file, err, want)
			}
		}
	}
	a, b := gobOf(t, 3), gobOf(t, 2)
	var last error
	for _, err := range ReadVegeta(bytes.NewReader(append(a, b...))) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "3 whole results, then another gob file") || errors.Is(last, ErrDamaged) {
		t.Errorf("two gob files joined: %v", last)
	}
}

// gobOf is a file of n results as vegeta writes it.
func gobOf(t *testing.T, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := vegeta.NewEncoder(&out)
	for i := range n {
		if err := enc.Encode(&vegeta.Result{Seq: uint64(i), Code: 200, Timestamp: time.Unix(1573213702, int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
