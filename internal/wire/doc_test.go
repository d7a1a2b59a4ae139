package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
)

func specification(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "wire.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A decoder is written from docs/wire.md: its table of frames is the code's, in full and in order.
func TestSpecificationListsTheFrames(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (\\d+) \\| `([A-Z]+)` \\| (agent|client|client, agent) \\|")
	var got, want []string
	for _, m := range row.FindAllStringSubmatch(specification(t), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	for ty := Hello; ty < numTypes; ty++ {
		want = append(want, strconv.Itoa(int(ty))+" "+ty.String())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/wire.md (+) and frame.go (-) disagree on the frames:\n%s", d)
	}
}

func TestSpecificationListsTheErrorClassesAndReasons(t *testing.T) {
	spec := specification(t)
	for c := attack.OK; c <= attack.ErrLost; c++ {
		if row := "| " + strconv.Itoa(int(c)) + " | `" + c.String() + "` |"; !strings.Contains(spec, row) {
			t.Errorf("docs/wire.md has no row %q", row)
		}
	}
	for _, r := range []string{ReasonDone, ReasonStopped, ReasonGaveUp, ReasonClientGone, ReasonDeadline, ReasonError} {
		if row := "| `" + r + "` |"; !strings.Contains(spec, row) {
			t.Errorf("docs/wire.md has no row %q", row)
		}
	}
}

// exampleResults are what the example of docs/wire.md holds: three requests at 1,000/s, the second unanswered.
func exampleResults() []attack.Result {
	const us = time.Microsecond
	return []attack.Result{
		{Seq: 0, Planned: 0, Sent: 30 * us, FirstByte: 1030 * us, Done: 1070 * us, Conn: 0, Status: 200, Backend: 0},
		{Seq: 1, Planned: 1000 * us, Sent: 1020 * us, Done: 2020 * us, Conn: 1, Backend: attack.Unattributed, Err: attack.ErrReset},
		{Seq: 2, Planned: 2000 * us, Sent: 2010 * us, FirstByte: 3010 * us, Done: 3060 * us, Conn: 0, Status: 200, Backend: 0},
	}
}

func TestSpecificationsExampleIsWhatIsWritten(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b).Write(Samples, AppendSamples(nil, exampleResults())); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(specification(t), "```hex\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/wire.md has no ```hex block")
	}
	var digits strings.Builder
	for line := range strings.Lines(example) {
		code, _, _ := strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(code), ""))
	}
	if got, want := digits.String(), hex.EncodeToString(b.Bytes()); got != want {
		t.Fatalf("docs/wire.md says\n%s\nthe code writes\n%s", got, want)
	}
	raw, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewReader(bytes.NewReader(raw)).Next()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSamples(nil, f.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exampleResults(), got); d != "" {
		t.Error(d)
	}
}
