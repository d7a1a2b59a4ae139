package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// TestReference compares docs/cli and docs/man with what the commands say of themselves; -update rewrites them.
func TestReference(t *testing.T) {
	t.Setenv("HOME", "/home/you") // the default of a flag of kubectl's names it
	root := newRoot(&app{})
	root.DisableAutoGenTag = true
	// By a fixed day: pages must not differ because of when they were made.
	header := &doc.GenManHeader{Section: "1", Source: "splitbench", Date: new(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))}
	got := map[string][]byte{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.DisableAutoGenTag = true
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		var md, man bytes.Buffer
		h := *header
		h.Title = strings.ToUpper(name)
		if err := doc.GenMarkdownCustom(c, &md, func(s string) string { return strings.ReplaceAll(s, "_", "-") }); err != nil {
			t.Fatal(err)
		}
		page := withSections(md.String(), c)
		if err := doc.GenMan(c, &h, &man); err != nil {
			t.Fatal(err)
		}
		got["cli/"+name+".md"], got["man/"+name+".1"] = []byte(page), man.Bytes()
		for _, child := range c.Commands() {
			if child.IsAvailableCommand() {
				walk(child)
			}
		}
	}
	walk(root)
	const docs = "../../docs"
	for _, folder := range []string{"cli", "man"} {
		if *update {
			if err := os.RemoveAll(filepath.Join(docs, folder)); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(docs, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, b := range got {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, b) {
			t.Errorf("%s is not what the command says (%v): run make generate", path, err)
		}
	}
	have, err := filepath.Glob(docs + "/cli/*.md")
	if err != nil || len(have)*2 != len(got) {
		t.Errorf("%d pages in docs/cli, want %d, %v", len(have), len(got)/2, err)
	}
	if !slices.ContainsFunc(have, func(s string) bool { return strings.HasSuffix(s, "splitbench-results-compare.md") }) {
		t.Errorf("pages: %q", have)
	}
	for name, b := range got {
		if m := regexp.MustCompile(`/root|/tmp/`).Find(b); m != nil && !strings.Contains(string(b), "/tmp/.splitbench") {
			t.Errorf("%s names a folder of the machine that made it: %s", name, m)
		}
	}
}

// withSections is a page of cobra's with the flags as help shows them: in titled sections.
func withSections(page string, c *cobra.Command) string {
	before, rest, _ := strings.Cut(page, "### Options\n")
	after := ""
	if i := strings.Index(rest, "### SEE ALSO"); i >= 0 {
		after = rest[i:]
	}
	var b strings.Builder
	b.WriteString(before)
	for _, s := range flagSections(c) {
		fmt.Fprintf(&b, "### %s\n\n```\n%s```\n\n", s.Name(), s.FlagUsages())
	}
	return b.String() + after
}
