package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

const maxMarkText = 300 // runes

// MarkRun marks a run that is under way.
func MarkRun(f store.Folder, text string) error {
	text = untrusted.Safe(strings.TrimSpace(text))
	if text == "" {
		return record.Usagef("mark: the text is empty; say what happened")
	}
	m, err := record.Read(f)
	if err != nil {
		return err
	}
	if m.Kind != report.KindSplit && m.Kind != report.KindDrill { // nobody would ever see it
		return record.Usagef("mark: run %s is a %s run, which has no timeline to mark; a drill or a run has one", f.ID,
			m.Kind)
	}
	if r := []rune(text); len(r) > maxMarkText {
		text = string(r[:maxMarkText])
	}
	b, err := json.Marshal(record.Mark{At: time.Now().UTC(), Text: text})
	if err != nil {
		return fmt.Errorf("mark run %s: %w", f.ID, err)
	}
	if err := store.Mark(f, b); err != nil {
		return &record.UsageError{Err: err}
	}
	return nil
}

// keepMarks takes over what other processes marked while the run sent.
func (r *run) keepMarks() error {
	b, err := r.ownMarks()
	r.m.Marks, _ = marksIn(b)
	return err
}

// ownMarks makes the file of marks the run's own, and returns it.
func (r *run) ownMarks() ([]byte, error) {
	b, err := r.folder.Marks()
	if err != nil || len(b) == 0 {
		return nil, err
	}
	if err := r.folder.WriteFile(store.MarksFile, b); err != nil {
		return b, &StoreError{err}
	}
	return b, nil
}

// marksIn returns the marks of a file, one line each, and the length of the lines that are whole. A line that is no
// mark is left out: it may be from anywhere.
func marksIn(b []byte) (marks []record.Mark, read int) {
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is still being written
		}
		read += len(line)
		var m record.Mark
		if json.Unmarshal(line, &m) == nil && m.Text != "" && len(marks) < maxFacts {
			marks = append(marks, record.Mark{At: m.At, Text: untrusted.Safe(m.Text)})
		}
	}
	return marks, read
}
