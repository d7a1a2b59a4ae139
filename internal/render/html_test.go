package render

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

	"github.com/splitbench/splitbench/internal/report"
)

func asHTML(t *testing.T, r report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r.Outline(), r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withoutConstants takes out what belongs to other files: scripts, style and their hashes, and the report's JSON. What is left
// can be read in a difference.
func withoutConstants(t *testing.T, page []byte) []byte {
	t.Helper()
	for _, re := range []string{
		`(<style>)[^<]*(</style>)`, `(<script[^>]*>)(?s:.*?)(</script>)`, `(sha256-)(?:[^'&]|&#43;)*(&#39;)`,
		`(data-sha256=")[0-9a-f]*(")`, `(this report as JSON: )[^<]*(?:<wbr>[0-9a-f]*)*()`,
	} {
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
	for name, r := range reports(t) {
		page := string(asHTML(t, r))
		outside := regexp.MustCompile(`(?i)(src|action|data)\s*=\s*"[^"#]|href="[^"#.]|@import|url\(`).FindString(strings.ReplaceAll(page, `content="default-src`, ""))
		if outside != "" {
			t.Errorf("%s: the page refers to something outside: %q", name, outside)
		}
	}
}

// The policy allows the page's own scripts and style, and those only: what a name or an answer could bring does not run.
// A run that was measured and had nothing to decide is not called invalid.
func TestPageOfAMeasuredRun(t *testing.T) {
	r := reports(t)["latency"]
	r.Verdict.Outcome = report.Measured
	if text := string(asHTML(t, r)); !strings.Contains(text, `<header class="banner measured">`) || !strings.Contains(text, "MEASURED</span>") || strings.Contains(text, "INVALID</span>") {
		t.Error("the badge does not say that it was measured")
	}
}

func TestPolicyAllowsWhatIsThereAndNothingElse(t *testing.T) {
	page := string(asHTML(t, reports(t)["hostile"]))
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
		if strings.HasPrefix(m[2], ` type="application/json" id="splitbench-report" data-sha256="`) {
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
	for name, r := range reports(t) {
		page := asHTML(t, r)
		if !report.IsHTML(page[:64]) || report.IsJSON(page[:64]) {
			t.Errorf("%s: the page does not look like one", name)
		}
		back, err := report.ReadHTML(bytes.NewReader(page))
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
	good := string(asHTML(t, reports(t)["pass"]))
	undigested := regexp.MustCompile(` data-sha256="[0-9a-f]+"`).ReplaceAllString(good, "") // of an earlier version
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"another page": {"<!doctype html><title>x</title>", report.ErrNotReport},
		"cut short":    {good[:strings.Index(good, "splitbench-report")+4000], report.ErrNotReport},
		"empty":        {"", report.ErrNotReport},
		"changed":      {strings.Replace(good, `"outcome":"pass"`, `"outcome":"fail"`, 1), report.ErrDamaged},
		"newer":        {strings.Replace(undigested, `"apiVersion":"splitbench.io/v1alpha1"`, `"apiVersion":"splitbench.io/v2"`, 1), report.ErrNewer},
	} {
		if _, err := report.ReadHTML(strings.NewReader(c.doc)); !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one sentence that is %v", name, err, c.want)
		}
	}
}

func FuzzReadHTML(f *testing.F) {
	for _, name := range []string{"pass", "hostile", "nothing"} {
		var b bytes.Buffer
		r := reports(f)[name]
		if err := HTML(&b, r.Outline(), r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes()[bytes.Index(b.Bytes(), []byte(`<script type="application/json"`)):])
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		r, err := report.ReadHTML(bytes.NewReader(page))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := HTML(&again, r.Outline(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := report.ReadHTML(&again); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGoldenPages(t *testing.T) {
	for _, name := range []string{"pass", "pass-pods-apart", "hostile", "drill"} {
		golden(t, name+".html", withoutConstants(t, asHTML(t, reports(t)[name])))
	}
}

// Every section of a page is named by its id; each that is in no box and not folded is in the list of sections.
func TestPagesListTheirSections(t *testing.T) {
	for name, r := range reports(t) {
		page := string(asHTML(t, r))
		for _, s := range r.Outline().Sections {
			if strings.Count(page, `<section id="`+s.ID+`"`) != 1 || strings.Contains(page, `<li><a href="#`+s.ID+`">`) != (placeOf(s) == inFlow) {
				t.Errorf("%s: section %s", name, s.ID)
			}
		}
	}
}

// Nothing from a cluster becomes markup.
func TestPagesOfComparisonsShowHostileNamesAsText(t *testing.T) {
	c := comparisons(t)["compare-hostile"]
	var b bytes.Buffer
	if err := HTML(&b, c.Outline(), c); err != nil {
		t.Fatal(err)
	}
	if page := b.String(); strings.Contains(page, "<script>alert") || strings.ContainsAny(page, "\x1b\u202e") {
		t.Error("a name became markup, or a control character came through")
	}
}
