package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func asHTML(t *testing.T, r Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withoutConstants takes out what belongs to other files: scripts, style and their hashes, and the report's JSON. What is left
// can be read in a difference.
func withoutConstants(t *testing.T, page []byte) []byte {
	t.Helper()
	for _, re := range []string{`(<style>)[^<]*(</style>)`, `(<script[^>]*>)(?s:.*?)(</script>)`, `(sha256-)(?:[^'&]|&#43;)*(&#39;)`} {
		page = regexp.MustCompile(re).ReplaceAll(page, []byte("$1...$2"))
	}
	if n := len(page); n > 200_000 {
		t.Errorf("%d bytes are left of a page: are the scripts still in it?", n)
	}
	for _, part := range []string{"<body>", "<main", "</main>"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("%s was taken out of the page too", part)
		}
	}
	return page
}

func TestPageIsWhole(t *testing.T) {
	for name, in := range inputs() {
		page := string(asHTML(t, Build(in)))
		outside := regexp.MustCompile(`(?i)(src|href|action|data)\s*=\s*"[^"#]|@import|url\(`).FindString(strings.ReplaceAll(page, `content="default-src`, ""))
		if outside != "" {
			t.Errorf("%s: the page refers to something outside: %q", name, outside)
		}
	}
}

// The policy allows the page's own scripts and style, and those only: what a name or an answer could bring does not run.
// A run that was measured and had nothing to decide is not called invalid.
func TestPageOfAMeasuredRun(t *testing.T) {
	in := comparisonInput()
	in.Judged = &Judged{Outcome: Measured}
	var page strings.Builder
	if err := WriteHTML(&page, Build(in)); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); !strings.Contains(text, `<header class="banner measured">`) || !strings.Contains(text, "MEASURED</span>") || strings.Contains(text, "INVALID</span>") {
		t.Error("the badge does not say that it was measured")
	}
}

func TestPolicyAllowsWhatIsThereAndNothingElse(t *testing.T) {
	page := string(asHTML(t, Build(inputs()["hostile"])))
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("the page has no policy")
	}
	said := html.UnescapeString(policy[1])
	for _, never := range []string{"unsafe", "http:", "https:", "*", "'self'"} {
		if strings.Contains(said, never) {
			t.Errorf("the policy allows %s: %s", never, said)
		}
	}
	if !strings.HasPrefix(said, "default-src 'none'; ") {
		t.Errorf("policy %s", said)
	}
	acting := regexp.MustCompile(`(?s)<(script|style)([^>]*)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(page, -1)
	scripts := 0
	for _, m := range acting {
		if m[2] == ` type="application/json" id="splitbench-report"` {
			continue // a browser does not run it
		}
		scripts++
		sum := sha256.Sum256([]byte(m[3]))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; m[2] != "" || !strings.Contains(said, hash) {
			t.Errorf("<%s%s> of %d bytes is not allowed by its hash", m[1], m[2], len(m[3]))
		}
	}
	if scripts != 2 || strings.Count(said, "sha256-") != scripts {
		t.Errorf("%d scripts and styles, %d hashes, want 2 of both", scripts, strings.Count(said, "sha256-"))
	}
	if attribute := regexp.MustCompile(`<[^>]*\s(style|on[a-z]+)=`).FindString(regexp.MustCompile(`(?s)<script.*?</script>`).ReplaceAllString(page, "")); attribute != "" {
		t.Errorf("an attribute acts: %s", attribute)
	}
}

// The page is the report: it comes back from it whole.
func TestReadHTMLGetsTheReportBack(t *testing.T) {
	for name, in := range inputs() {
		r := Build(in)
		page := asHTML(t, r)
		if !IsHTML(page[:64]) || IsJSON(page[:64]) {
			t.Errorf("%s: the page does not look like one", name)
		}
		back, err := ReadHTML(bytes.NewReader(page))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

func TestReadHTMLRefuses(t *testing.T) {
	good := string(asHTML(t, Build(inputs()["pass"])))
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"another page": {"<!doctype html><title>x</title>", ErrNotReport},
		"cut short":    {good[:strings.Index(good, reportScript)+4000], ErrNotReport},
		"empty":        {"", ErrNotReport},
		"newer":        {strings.Replace(good, `"apiVersion":"splitbench.io/v1alpha1"`, `"apiVersion":"splitbench.io/v2"`, 1), ErrNewer},
	} {
		if _, err := ReadHTML(strings.NewReader(c.doc)); !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one sentence that is %v", name, err, c.want)
		}
	}
}

func FuzzReadHTML(f *testing.F) {
	for _, name := range []string{"pass", "hostile", "nothing"} {
		var b bytes.Buffer
		if err := WriteHTML(&b, Build(inputs()[name])); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes()[bytes.Index(b.Bytes(), []byte(`<script type="application/json"`)):])
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		r, err := ReadHTML(bytes.NewReader(page))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteHTML(&again, r); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadHTML(&again); err != nil {
			t.Fatal(err)
		}
	})
}
