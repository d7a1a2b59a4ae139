package agent

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/wire"
)

func TestLinesThatAreKept(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for _, tt := range []struct {
		in   string
		sets [][]string
		want string
	}{
		{"a 1\nb 2\nc 3\n", [][]string{{"b"}}, "b 2\n"},
		{"a 1\nb 2\nc 3", [][]string{{"a"}, {"c", "3"}}, "a 1\nc 3"},
		{"ab\nb\na\n", [][]string{{"a", "b"}}, "ab\n"},
		{"a\n" + long + "a\nab\n", [][]string{{"a"}}, "a\nab\n"},
		{long, [][]string{{"x"}}, ""},
		{"", [][]string{{"a"}}, ""},
		{"a\n\n\n", [][]string{{}}, "a\n\n\n"},
	} {
		got, err := io.ReadAll(newLineKeeper(iotestOneByte{strings.NewReader(tt.in)}, tt.sets))
		if err != nil || string(got) != tt.want {
			t.Errorf("%.20q keep %q: %.40q, %v; want %q", tt.in, tt.sets, got, err, tt.want)
		}
	}
}

// iotestOneByte gives few bytes at a time, as a network may.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 7)]) }

// Of a page of 50 MB the agent sends the few lines that were asked for, and holds none of the rest.
func TestFetchOfAPageOf50MB(t *testing.T) {
	const size = 50_000_000
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := bufio.NewWriterSize(w, 1<<16)
		n := 0
		for i := 0; n < size; i++ {
			m, err := fmt.Fprintf(out, "some_other_total{parent_name=\"service-%d\",backend_name=\"service-%d\"} %d\n", i, i, i)
			if err != nil {
				return
			}
			if n += m; i%200_000 == 0 {
				fmt.Fprintf(out, "draws_total{parent_name=\"podinfo\"} %d\n", i)
			}
		}
		out.Flush()
	}))
	t.Cleanup(srv.Close)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, body, err := c.Fetch(t.Context(), wire.FetchRequest{
		URL: srv.URL, TimeoutMs: 60_000, MaxBytes: 1 << 20, Keep: [][]string{{"draws_total", `"podinfo"`}},
	})
	runtime.ReadMemStats(&after)
	if err != nil || res.Error != "" || res.Truncated || res.UnixNs == 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if lines := strings.Count(string(body), "\n"); lines < 3 || lines > 8 || strings.Contains(string(body), "other") {
		t.Errorf("%d lines: %.300s", lines, body)
	}
	// HeapSys only grows: what the heap ever asked the system for, here for the server, the agent and the client together.
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
