package main

import (
	"os"
	"strings"
	"testing"
)

// TestCausesAreNamed measures the grid of explanations with few repetitions. The seeds are fixed: it fails the same way
// or not at all.
func TestCausesAreNamed(t *testing.T) {
	needsRates(t)
	t.Parallel()
	g, err := newCauseGrid(true)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := g.measure(2, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range failures(rows) {
		t.Error(text)
	}
}

// TestDocumentHasTheCauses holds the table of explanations to the program.
func TestDocumentHasTheCauses(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	table, err := between(string(b), "causes")
	if err != nil {
		t.Fatal(err)
	}
	g, err := newCauseGrid(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g {
		claimed, holds := (&row{scenario: s}).claimed()
		begins := "| " + strings.Join([]string{s.name, grouped(s.n), s.says, grouped(int64(s.reps))}, " | ") + " | "
		ends := " | " + claimed + " | " + holds + " |"
		fits := func(line string) bool { return strings.HasPrefix(line, begins) && strings.HasSuffix(line, ends) }
		found := false
		for line := range strings.SplitSeq(table, "\n") {
			found = found || fits(line)
		}
		if !found {
			t.Errorf("%s has no line %s...%s: run make calibrate", document, begins, ends)
		}
	}
	if have := strings.Count(table, "\n| ") - 2; have > len(g) {
		t.Errorf("%s has %d scenarios of causes, the grid has %d: run make calibrate", document, have, len(g))
	}
}
