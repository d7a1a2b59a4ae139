package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/splitbench/splitbench/internal/preflight"
)

func asText(t *testing.T, r Report, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextIsSafeAndFits(t *testing.T) {
	for name, in := range inputs() {
		for _, width := range []int{0, 60, 80, 120, 200} {
			text := asText(t, Build(in), TextOptions{Width: width})
			for _, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s: %U on the terminal", name, r)
				}
			}
			if width == 0 {
				width = defaultWidth
			}
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				command := strings.HasPrefix(strings.TrimSpace(line), "splitbench ") || strings.HasPrefix(strings.TrimSpace(line), "kubectl ")
				whole := len(strings.Fields(line)) <= 2 // a path or URL is never broken
				if width >= 80 && textWidth(line) > width && !command && !whole {
					t.Errorf("%s: %d columns in %d: %s", name, textWidth(line), width, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s: space at the end of %q", name, line)
				}
			}
		}
	}
}

// The verdict is first, and last where the screen has scrolled.
func TestVerdictIsFirstAndLast(t *testing.T) {
	for name, in := range inputs() {
		r := Build(in)
		text := asText(t, r, TextOptions{})
		if !strings.HasPrefix(text, strings.ToUpper(r.Verdict.Outcome)+"  ") {
			t.Errorf("%s begins with %.40q", name, text)
		}
		blocks := strings.Split(strings.TrimSpace(text), "\n\n")
		if strings.Count(text, "\n") > longReport+2 && !strings.HasPrefix(blocks[len(blocks)-1], strings.ToUpper(r.Verdict.Outcome)) {
			t.Errorf("%s: a long report ends with %q", name, blocks[len(blocks)-1])
		}
	}
}

func TestWhatEveryReportMustSay(t *testing.T) {
	for name, want := range map[string][]string{
		"pass":                    {"would have noticed a shift of about 5 points", "99 times in 100"},
		"simulated":               {"(simulated)", "Simulated: both clusters"},
		"fail":                    {"does NOT follow the 50/50 weights", "podinfo-east got 35.1 %, expected 50 %", "less than 1 of a billion"},
		"fail-leak":               {"podinfo-east has weight 0 and answered 3 times"},
		"inconclusive":            {"30 requests cannot tell", "2,371 more", "--requests 2401", "cannot tell the 50/50 weights from a wrong split"},
		"invalid-off-mesh":        {"client pod is meshed", "linkerd-proxy", "kubectl rollout restart"},
		"invalid-changed":         {"changed during the run", "For information only: the counts alone would be a fail."},
		"interrupted":             {"SIGINT", "after 512 requests", "run it again"},
		"inconclusive-diagnostic": {"drawn per connection"},
		"counts-only":             {"26,000 requests in all (16,000 more)"},
		"nothing":                 {"no request was sent"},
	} {
		text := strings.Join(strings.Fields(asText(t, Build(inputs()[name]), TextOptions{})), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, text)
			}
		}
	}
}

// Where a terminal has no more than ASCII, nothing else is drawn; the words are the same.
func TestASCII(t *testing.T) {
	for name, in := range inputs() {
		for _, r := range asText(t, Build(in), TextOptions{ASCII: true}) {
			if r > unicode.MaxASCII && !strings.ContainsRune(hostile, r) {
				t.Errorf("%s: %U", name, r)
				break
			}
		}
	}
}

// The mark is in the bar of a backend that got its share, and behind it or inside it of one that did not.
func TestBarsShowTheGap(t *testing.T) {
	for name, want := range map[string][2]string{
		"pass": {"########|", "########|"},
		"fail": {"|####", "##...."},
	} {
		text := asText(t, Build(inputs()[name]), TextOptions{ASCII: true})
		var bars []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "podinfo") && strings.Contains(line, "##") {
				bars = append(bars, strings.Fields(line)[1])
			}
		}
		if len(bars) != 2 || !strings.Contains(bars[0], want[0]) || !strings.Contains(bars[1], want[1]) || len(bars[0]) != len(bars[1]) {
			t.Errorf("%s: bars %q, want parts %q", name, bars, want)
		}
	}
}

func TestColorIsOnlyPaint(t *testing.T) {
	for name, in := range inputs() {
		plain, painted := asText(t, Build(in), TextOptions{}), asText(t, Build(in), TextOptions{Color: true})
		if !strings.Contains(painted, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		for _, c := range []color{green, red, yellow, purple} {
			painted = strings.ReplaceAll(painted, "\x1b["+string(c)+"m", "")
		}
		if painted = strings.ReplaceAll(painted, "\x1b[0m", ""); painted != plain {
			t.Errorf("%s: colour changes the text:\n%s", name, painted)
		}
	}
}

func TestChecksGolden(t *testing.T) {
	checks := append(inputs()["invalid-off-mesh"].Checks, greenChecks()[2], hostileInput().Checks[0])
	for name, o := range map[string]TextOptions{"checks.txt": {}, "checks-ascii.txt": {ASCII: true}, "checks-color.txt": {Color: true}} {
		var b bytes.Buffer
		if err := WriteChecks(&b, checks, o); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

func TestChecksSummary(t *testing.T) {
	for _, c := range []struct {
		checks []preflight.Result
		want   string
	}{
		{nil, "0 ok: nothing was checked"},
		{greenChecks(), "3 ok: the split can be measured"},
		{[]preflight.Result{{Status: preflight.Unknown, Severity: preflight.Fatal}}, "0 ok, 1 unknown: nothing forbids measuring, but not everything could be seen"},
		{[]preflight.Result{{Status: "never heard of"}}, "0 ok, 1 unknown: nothing forbids measuring, but not everything could be seen"},
		{[]preflight.Result{{Status: preflight.Failed, Severity: preflight.Fatal}}, "0 ok, 1 failed: the split cannot be measured: 1 fatal failure"},
	} {
		if got := checksSummary(c.checks); got != c.want {
			t.Errorf("checksSummary(%v) = %q, want %q", c.checks, got, c.want)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrorsAreReturned(t *testing.T) {
	r := Build(inputs()["pass"])
	for name, err := range map[string]error{
		"text": WriteText(brokenWriter{}, r, TextOptions{}), "markdown": WriteMarkdown(brokenWriter{}, r), "json": WriteJSON(brokenWriter{}, r),
		"checks": WriteChecks(brokenWriter{}, r.Checks, TextOptions{}), "checks json": WriteChecksJSON(brokenWriter{}, r.Checks),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want the writer's error", name, err)
		}
	}
}
