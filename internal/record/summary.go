package record

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// Summary is what a list shows of a stored run: its own summary; else that of its report; else, of a run that was
// killed before it had either, what its manifest says, without an outcome. The error is of a folder that has none of
// them.
func Summary(f store.Folder) (report.Summary, error) {
	b, err := f.ReadFile(SummaryFile)
	if err == nil {
		return report.ReadSummary(b)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return report.Summary{}, err
	}
	if b, err = f.ReadFile(VerdictFile); err == nil {
		r, err := report.ReadJSON(bytes.NewReader(b))
		return report.Summarize(r), err
	}
	m, err := Read(f)
	if err != nil {
		return report.Summary{}, err
	}
	s := report.Summary{
		Schema: report.SummarySchema, ID: m.ID, Kind: m.Kind, Started: m.Started, Labels: m.Labels, Tool: m.Tool,
		Simulated: m.Simulated != "",
	}
	if m.Before != nil {
		s.Subject = m.Before.Split.Namespace + "/" + m.Before.Split.Name
	}
	return s, nil
}
