package serve

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

//go:embed html
var files embed.FS

// maxRows bounds the rows of one page of the list.
const maxRows = 500

// row is one run of the list.
type row struct {
	ID, Kind, Status, Subject, Weights, Started, Requests, Labels, Why string

	Badge  template.HTML // "" without an outcome
	Link   string
	Pinned bool
	Base   bool // the first of those that can be compared
}

// listView is what the list's template shows.
type listView struct {
	Dir, Label, Outcome, Problem string

	Outcomes    []string
	Rows        []row
	Left, Total int
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	v := listView{
		Dir: untrusted.Printable(s.Dir), Label: r.URL.Query().Get("label"), Outcome: r.URL.Query().Get("outcome"),
		Outcomes: []string{report.Pass, report.Fail, report.Inconclusive, report.Invalid, report.Measured},
	}
	labels, err := parseLabels(v.Label)
	if err != nil {
		v.Problem = untrusted.Printable(err.Error())
	}
	folders, err := store.List(s.Dir)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	v.Total = len(folders)
	for _, f := range folders {
		one, ok := s.row(f, labels, v.Outcome)
		switch {
		case !ok:
		case len(v.Rows) == maxRows:
			v.Left++
		default:
			v.Rows = append(v.Rows, one)
		}
	}
	v.Label = untrusted.Printable(v.Label)
	body, err := filled("list", v)
	sort, scriptErr := render.PageScript()
	s.send(w, http.StatusOK, render.Page{
		Title: "Runs - splitbench", Body: body, Scripts: []template.JS{sort}, Forms: true,
	}, errors.Join(err, scriptErr))
}

// row is one run, and whether the filter lets it through.
func (s *server) row(f store.Folder, labels map[string]string, outcome string) (row, bool) {
	out := row{
		ID: untrusted.Printable(f.ID), Status: string(f.Status), Pinned: f.Pinned(),
		Link: "/runs/" + url.PathEscape(f.ID) + "/",
	}
	sum, err := s.Summarize(f)
	if err == nil {
		err = f.Whole()
	}
	if err != nil {
		out.Why = untrusted.Printable(err.Error())
		if errors.Is(err, store.ErrDamaged) {
			out.Status = string(store.Damaged)
		}
		return out, len(labels) == 0 && outcome == ""
	}
	if !sum.HasLabels(labels) || outcome != "" && sum.Outcome != outcome {
		return out, false
	}
	out.Kind, out.Subject = untrusted.Printable(sum.Kind), untrusted.Printable(sum.Subject)
	out.Weights = untrusted.Printable(sum.Weights)
	out.Requests = fmt.Sprint(sum.Requests)
	if !sum.Started.IsZero() {
		out.Started = sum.Started.UTC().Format("2006-01-02 15:04:05")
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(sum.Labels)) {
		pairs = append(pairs, k+"="+sum.Labels[k])
	}
	out.Labels = untrusted.Printable(strings.Join(pairs, ", "))
	if sum.Outcome != "" && f.Status != store.Running {
		out.Badge = render.Badge(sum.Outcome)
	}
	return out, true
}

func (s *server) run(w http.ResponseWriter, r *http.Request) {
	f, err := s.open(r.PathValue("id"))
	if err != nil {
		s.problem(w, statusOf(err), err)
		return
	}
	rep, err := s.Report(f)
	if err != nil {
		s.problem(w, statusOf(err), err)
		return
	}
	s.document(w, rep.Outline(), rep)
}

// document is the page of a document, with the way back to the list.
func (s *server) document(w http.ResponseWriter, o report.Outline, doc any) {
	p, err := render.PageOf(o, doc)
	nav, navErr := filled("nav", nil)
	p.Body = nav + p.Body
	s.send(w, http.StatusOK, p, errors.Join(err, navErr))
}

func (s *server) compare(w http.ResponseWriter, r *http.Request) {
	base, err := s.open(r.URL.Query().Get("base"))
	if err != nil {
		s.problem(w, statusOf(err), fmt.Errorf("choose a base: %w", err))
		return
	}
	latest, err := s.open(r.URL.Query().Get("new"))
	if err != nil {
		s.problem(w, statusOf(err), fmt.Errorf("choose a run to compare with it: %w", err))
		return
	}
	c, err := s.Compare(base, latest)
	if err != nil {
		s.problem(w, http.StatusUnprocessableEntity, err)
		return
	}
	s.document(w, c.Outline(), c)
}

// problem says in one sentence what is wrong.
func (s *server) problem(w http.ResponseWriter, status int, what error) {
	body, err := filled("problem", untrusted.Printable(what.Error()))
	s.send(w, status, render.Page{Title: "Not shown - splitbench", Body: body}, err)
}

func filled(name string, v any) (template.HTML, error) {
	t, err := template.ParseFS(files, "html/pages.tmpl")
	if err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, v); err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // by html/template
}

// parseLabels reads KEY=VALUE pairs apart by commas, as the commands do.
func parseLabels(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("label %q: want KEY=VALUE, several apart by commas", pair)
		}
		labels[k] = v
	}
	return labels, nil
}
