package report

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

func asMarkdown(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteMarkdown(&b, r); err != nil {
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
	for name, in := range inputs() {
		r := Build(in)
		doc := asMarkdown(t, r)
		var page bytes.Buffer
		if err := gfm().Convert([]byte(doc), &page); err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags.FindAllString(page.String(), -1) {
			if !allowed.MatchString(tag) && tag != commentMarker(shown(r)) {
				t.Errorf("%s: the page holds %s", name, tag)
			}
		}
		for _, c := range doc {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("%s: Markdown holds %U", name, c)
			}
		}
		if len(doc) > MaxMarkdown {
			t.Errorf("%s: %d bytes", name, len(doc))
		}
	}
}

// A table has one row for each backend, whatever their names are, and no other table or heading gets in.
func TestMarkdownStructure(t *testing.T) {
	for name, in := range inputs() {
		r := Build(in)
		doc := []byte(asMarkdown(t, r))
		root := gfm().Parser().Parse(text.NewReader(doc), parser.WithContext(parser.NewContext()))
		headings, rows, columns := 0, 0, map[int]bool{}
		err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			switch n := n.(type) {
			case *ast.Heading:
				headings++
			case *gast.TableRow:
				rows++
				columns[n.ChildCount()] = true
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
		want := len(r.Backends)
		if n, _ := requestsOf(r); n == 0 {
			want = 0
		}
		widths := map[int]bool{}
		if r.Source != nil && len(r.Source.Pods) > 0 {
			want += len(r.Source.Pods)
			widths[-1], widths[len(r.Backends)+5] = true, true // the backends' own, and that of pods
		}
		for _, table := range specialTables(r) {
			want += len(table) - 1
			widths[len(table[0])] = true
		}
		if headings != 1 || rows != want || len(columns) > max(1, len(widths)) {
			t.Errorf("%s: %d headings, %d rows of %v cells, want 1 and %d of one width", name, headings, rows, columns, want)
		}
	}
}

// Hosts make links of mentions and numbers after rendering, so they are looked for in the page's text.
func TestNoMentionsOrLinks(t *testing.T) {
	var page bytes.Buffer
	if err := gfm().Convert([]byte(asMarkdown(t, Build(hostileInput()))), &page); err != nil {
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

func TestMarkerNamesTheSplitNotTheRun(t *testing.T) {
	a, b := Build(inputs()["pass"]), Build(inputs()["invalid-changed"])
	b.Run.ID = "another"
	if commentMarker(a) != commentMarker(b) || commentMarker(a) != "<!-- splitbench:west/test/podinfo -->" {
		t.Errorf("markers %s and %s", commentMarker(a), commentMarker(b))
	}
	a.Split.Name, b.Split.Name = "a b", "a\tb"
	if commentMarker(a) == commentMarker(b) {
		t.Errorf("two splits have the marker %s", commentMarker(a))
	}
	a.Split.Name = "--><script>" + strings.Repeat("x", 1000)
	if m := commentMarker(a); len(m) > 200 || strings.Contains(m[:len(m)-3], "--><") {
		t.Errorf("marker %s", m)
	}
}

func TestMarkdownFitsInAComment(t *testing.T) {
	in := many(16)
	for range 500 {
		in.Checks = append(in.Checks, greenChecks()[0])
		in.Checks[len(in.Checks)-1].Seen = strings.Repeat("<", 300)
	}
	if doc := asMarkdown(t, Build(in)); len(doc) > MaxMarkdown || !strings.Contains(doc, "details were left out") {
		t.Errorf("%d bytes", len(doc))
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
