package render

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"

	"github.com/splitbench/splitbench/internal/report"
)

func asMarkdown(t *testing.T, o report.Outline) string {
	t.Helper()
	var b bytes.Buffer
	if err := Markdown(&b, o, Long); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// gfm reads as hosts do: GitHub flavour, raw HTML let through.
func gfm() goldmark.Markdown {
	return goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(ghtml.WithUnsafe()))
}

var tags = regexp.MustCompile(`<!--.*?-->|</?[a-zA-Z][^>]*>`)

func TestMarkdownIsWhatItSeems(t *testing.T) {
	allowed := regexp.MustCompile(`^</?(h2|p|strong|table|thead|tbody|tr|th|td|ul|li|code|pre|details|summary|sub)( (style|align)="[a-z: -]*;?")?>$`)
	for name, o := range outlines(t) {
		doc := asMarkdown(t, o)
		var page bytes.Buffer
		if err := gfm().Convert([]byte(doc), &page); err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags.FindAllString(page.String(), -1) {
			if !allowed.MatchString(tag) && tag != "<!-- splitbench:"+forHTMLComment(o.Marker)+" -->" {
				t.Errorf("%s: the page holds %s", name, tag)
			}
		}
		for _, c := range doc {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("%s: Markdown holds %U", name, c)
			}
		}
	}
}

// Tables have the rows and columns of the outline, whatever names there are, and no other table or heading gets in.
func TestMarkdownStructure(t *testing.T) {
	for name, o := range outlines(t) {
		doc := []byte(asMarkdown(t, o))
		root := gfm().Parser().Parse(text.NewReader(doc), parser.WithContext(parser.NewContext()))
		headings, rows := 0, map[int]int{}
		err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			switch n := n.(type) {
			case *ast.Heading:
				headings++
			case *gast.TableRow:
				rows[n.ChildCount()]++
			case *ast.Link, *ast.Image, *ast.AutoLink, *ast.CodeSpan, *ast.FencedCodeBlock, *ast.CodeBlock, *ast.Blockquote, *ast.ThematicBreak:
				t.Errorf("%s: holds a %s", name, n.Kind())
			case *ast.List:
				if n.IsOrdered() || n.Parent().Kind() == ast.KindListItem {
					t.Errorf("%s: foreign text makes a list", name)
				}
			}
			return ast.WalkContinue, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]int{}
		var count func(blocks []report.Block)
		count = func(blocks []report.Block) {
			for _, b := range blocks {
				switch b := b.(type) {
				case report.Details:
					count(b.Blocks)
				case report.Table:
					if g := gridOf(b, report.Comment, forMarkdown); len(g.rows) > 0 {
						want[len(g.titles)] += len(g.rows)
					}
				}
			}
		}
		for _, s := range o.Sections {
			if s.Level <= report.Comment {
				count(s.Blocks)
			}
		}
		if diff := cmp.Diff(want, rows); headings != 1 || diff != "" {
			t.Errorf("%s: %d headings, want 1; rows by their cells (-want +got):\n%s", name, headings, diff)
		}
	}
}

// Hosts make links of mentions and numbers after rendering, so they are looked for in the page's text.
func TestNoMentionsOrLinks(t *testing.T) {
	var page bytes.Buffer
	if err := gfm().Convert([]byte(asMarkdown(t, outlines(t)["hostile"])), &page); err != nil {
		t.Fatal(err)
	}
	outsidePre := regexp.MustCompile(`(?s)<pre>.*?</pre>`).ReplaceAllString(page.String(), "")
	seen := html.UnescapeString(tags.ReplaceAllString(outsidePre, ""))
	if m := regexp.MustCompile(`[@#!][a-zA-Z0-9]|https?://|www\.`).FindString(seen); m != "" {
		t.Errorf("the page's text holds %q", m)
	}
	if !strings.Contains(strings.ReplaceAll(seen, "\u200b", ""), `<script>alert(1)</script>\x1b[2J\x1b]0;pwned\x07 |`+"`**_~~ @octocat #1 ![x](http://evil.test/x.png)") {
		t.Error("the hostile text cannot be read any more")
	}
	for _, block := range regexp.MustCompile(`(?s)<pre>(.*?)</pre>`).FindAllStringSubmatch(page.String(), -1) {
		if strings.Contains(html.UnescapeString(block[1]), "\u200b") {
			t.Errorf("what is to be copied holds a zero-width space: %q", block[1])
		}
	}
}

// No document is longer than its size says, whatever is in it; the shortest one has the answer and, where there is room, the
// shares.
func TestMarkdownHasThreeSizes(t *testing.T) {
	all := outlines(t)
	long := all["pass"]
	long.Headline, long.Title, long.Footer = strings.Repeat("@", 5000), strings.Repeat("#", 5000), strings.Repeat("<", 5000)
	all["of signs alone"] = long
	for name, o := range all {
		for _, size := range []Size{Short, Medium, Long} {
			var b bytes.Buffer
			if err := Markdown(&b, o, size); err != nil {
				t.Fatal(err)
			}
			if n := utf8.RuneCount(b.Bytes()); n > int(size) {
				t.Errorf("%s: %d characters, at most %d", name, n, size)
			}
			if text := b.String(); !strings.Contains(text, "## "+o.Word+": ") || size == Short && strings.Contains(text, "<details>") {
				t.Errorf("%s in %d:\n%s", name, size, text)
			}
		}
	}
	var b bytes.Buffer
	if err := Markdown(&b, all["fail"], Short); err != nil {
		t.Fatal(err)
	}
	golden(t, "fail-short.md", b.Bytes())
}

func TestMarkersAreComments(t *testing.T) {
	if m := forHTMLComment("west/test/podinfo"); m != "west/test/podinfo" {
		t.Errorf("marker %s", m)
	}
	if a, b := forHTMLComment("a b"), forHTMLComment("a\tb"); a == b {
		t.Errorf("two splits have the marker %s", a)
	}
	if m := forHTMLComment("--><script>" + strings.Repeat("x", 1000)); len(m) > 200 || strings.ContainsAny(m, "<>") || strings.Contains(m, "--") {
		t.Errorf("marker %s", m)
	}
}

func TestMarkdownFitsInAComment(t *testing.T) {
	o := outlines(t)["many-backends"]
	long := report.Verbatim{}
	for range 500 {
		long = append(long, strings.Repeat("<", 300))
	}
	o.Sections = append(o.Sections, report.Section{ID: "long", Title: "Long", Folded: true, Blocks: []report.Block{long}})
	if doc := asMarkdown(t, o); utf8.RuneCountInString(doc) > int(Long) || !strings.Contains(doc, "details were left out") || !strings.Contains(doc, "| Backend |") {
		t.Errorf("%d bytes", len(doc))
	}
	o.Sections[len(o.Sections)-1].Folded = false
	if doc := asMarkdown(t, o); utf8.RuneCountInString(doc) > int(Long) || !strings.Contains(doc, "details were left out") || !strings.Contains(doc, "## PASS: ") {
		t.Errorf("%d bytes", len(doc))
	}
}

func TestGoldenMarkdown(t *testing.T) {
	all := outlines(t)
	for _, name := range []string{"fail", "hostile", "latency", "pass-pods", "pass-pods-apart", "compare-inconclusive"} {
		golden(t, name+".md", []byte(asMarkdown(t, all[name])))
	}
}

func FuzzForMarkdown(f *testing.F) {
	f.Add(hostile)
	f.Add("a@b #1 GH-1 &amp; &#35; \\| ::: --- ===\n\n> x")
	f.Fuzz(func(t *testing.T, s string) {
		var page bytes.Buffer
		if err := gfm().Convert([]byte("| a |\n| -- |\n| "+forMarkdown(s)+" |\n"), &page); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "<td>"); n != 1 {
			t.Fatalf("%q makes %d cells: %s", s, n, page.String())
		}
		for _, tag := range tags.FindAllString(page.String(), -1) {
			if !strings.Contains("<table></table><thead></thead><tbody></tbody><tr></tr><th></th><td></td>", tag) {
				t.Fatalf("%q makes %s", s, tag)
			}
		}
	})
}
