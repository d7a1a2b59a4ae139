package bench

import (
	"bytes"
	"encoding/json"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// markable refuses marks where nobody would ever see them.
func markable(f store.Folder) error {
	m, err := record.Read(f)
	if err != nil {
		return err
	}
	if m.Kind != report.KindSplit && m.Kind != report.KindDrill {
		return record.Usagef("mark: run %s is a %s run, which has no timeline to mark; a drill or a run has one", f.ID, m.Kind)
	}
	return nil
}

// keepMarks takes over what other processes marked while the run sent. From here on the file is the run's own.
func (r *run) keepMarks() error {
	b, err := r.folder.Marks()
	if err != nil || len(b) == 0 {
		return err
	}
	r.m.Marks = marksIn(b)
	if err := r.folder.WriteFile(store.MarksFile, b); err != nil {
		return &StoreError{err}
	}
	return nil
}

// marksIn are the marks of a file, one line each. A line that is none is left out: it may be from anywhere.
func marksIn(b []byte) []record.Mark {
	var out []record.Mark
	for line := range bytes.Lines(b) {
		var m record.Mark
		if json.Unmarshal(line, &m) == nil && m.Text != "" && len(out) < maxFacts {
			out = append(out, record.Mark{At: m.At, Text: untrusted.Safe(m.Text)})
		}
	}
	return out
}
