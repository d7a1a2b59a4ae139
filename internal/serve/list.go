package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Bounds of a page: rows of a list, runs of a history.
const (
	maxRows    = 100
	maxHistory = 500
)

// query is what a list is filtered by, as it stands in the address. What it says of runs must hold of every one.
type query struct {
	Split, Outcome, Label, Kind, Text string

	Page   int // from 1
	labels map[string]string
}

func readQuery(r *http.Request) (q query, err error) {
	v := r.URL.Query()
	q = query{
		Split: v.Get("split"), Outcome: v.Get("outcome"), Label: v.Get("label"), Kind: v.Get("kind"), Text: v.Get("text"),
	}
	q.Page = 1
	if n, err := strconv.ParseUint(v.Get("page"), 10, 16); err == nil {
		q.Page = max(1, int(n))
	}
	q.labels, err = parseLabels(q.Label)
	return q, err
}

// all reports whether it lets every run through.
func (q query) all() bool {
	return q.Split == "" && q.Outcome == "" && q.Kind == "" && q.Text == "" && len(q.labels) == 0
}

// address is the list of another page.
func (q query) address(page int) string {
	v := url.Values{}
	for key, value := range map[string]string{
		"split": q.Split, "outcome": q.Outcome, "label": q.Label, "kind": q.Kind, "text": q.Text,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	v.Set("page", strconv.Itoa(page))
	return "/?" + v.Encode()
}

// fits reports whether a run is let through. Of one that cannot be read nothing is known but its name.
func (q query) fits(x run) bool {
	if x.err != nil {
		q.Text = strings.TrimSpace(q.Text)
		return q.Split == "" && q.Outcome == "" && q.Kind == "" && len(q.labels) == 0 && strings.Contains(x.ID, q.Text)
	}
	text := strings.ToLower(strings.Join([]string{x.ID, x.Subject, x.Kind, x.Outcome, x.Weights, x.pairs()}, " "))
	return (q.Split == "" || x.Subject == q.Split) && (q.Outcome == "" || x.Outcome == q.Outcome) &&
		(q.Kind == "" || x.Kind == q.Kind) && x.HasLabels(q.labels) &&
		!slices.ContainsFunc(strings.Fields(strings.ToLower(q.Text)), func(word string) bool {
			return !strings.Contains(text, word)
		})
}

// run is what is known of a stored run.
type run struct {
	report.Summary

	folder store.Folder
	stamp  string // of the files that this was read from
	err    error  // why it is not to be believed, or cannot be read
}

func (x run) pairs() string { return strings.Join(report.Labels(x.Labels), ", ") }

// look reads what a list shows of a run, and holds the run against its sums. It is kept until a file of the run is
// another one.
func (s *server) look(f store.Folder) run {
	x := run{folder: f, stamp: stampOf(f)}
	s.mu.Lock()
	was, ok := s.seen[f.ID]
	s.mu.Unlock()
	if ok && was.stamp == x.stamp && x.stamp != "" {
		return was
	}
	if x.Summary, x.err = s.Summarize(f); x.err == nil {
		x.err = f.Whole()
	}
	if f.Status == store.Running {
		x.Outcome = ""
	}
	x.ID = f.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[f.ID] = x
	return x
}

// stampOf changes when a file of a run does; "" where that cannot be told.
func stampOf(f store.Folder) string {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return ""
		}
		fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// find returns the runs of one page, newest first, and how many fit and are stored.
func (s *server) find(q query, most int) (page []run, fitting, stored int, err error) {
	folders, err := store.List(s.Dir)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, 0, 0, err
	}
	stored = len(folders)
	if !q.all() {
		fits := make([]bool, len(folders))
		store.Each(folders, func(i int, f store.Folder) { fits[i] = q.fits(s.look(f)) })
		kept := folders[:0]
		for i, f := range folders {
			if fits[i] {
				kept = append(kept, f)
			}
		}
		folders = kept
	}
	from := min((q.Page-1)*most, len(folders))
	folders, fitting = folders[from:min(from+most, len(folders))], len(folders)
	page = make([]run, len(folders))
	store.Each(folders, func(i int, f store.Folder) { page[i] = s.look(f) })
	return page, fitting, stored, nil
}

// row is one run of the list.
type row struct {
	ID, Kind, Status, Subject, Weights, Started, Instant, Size, Labels, Why, Link, History string

	Badge    template.HTML // "" without an outcome
	Requests int64
}

func (x run) row() row {
	out := row{
		ID: untrusted.Printable(x.folder.ID), Status: string(x.folder.Status),
		Link: "/runs/" + url.PathEscape(x.folder.ID) + "/",
	}
	if x.folder.Pinned() {
		out.Status += ", pinned"
	}
	if x.err != nil {
		out.Why = untrusted.Printable(x.err.Error())
		if errors.Is(x.err, store.ErrDamaged) {
			out.Status = store.ErrDamaged.Error()
		}
		return out
	}
	out.Kind, out.Subject = untrusted.Printable(x.Kind), untrusted.Printable(x.Subject)
	out.Weights, out.Labels = untrusted.Printable(x.Weights), untrusted.Printable(x.pairs())
	out.Size, out.Requests = x.Size(), x.Requests
	out.History = "/history?split=" + url.QueryEscape(x.Subject)
	if !x.Started.IsZero() {
		out.Started = x.Started.UTC().Format("2 Jan 2006, 15:04")
		out.Instant = x.Started.UTC().Format("2006-01-02T15:04:05Z")
	}
	if x.Outcome != "" {
		out.Badge = render.Badge(x.Outcome)
	}
	return out
}

// listView is what the list's template shows.
type listView struct {
	query

	Dir, Problem, Newer, Older string
	Outcomes, Kinds            []string
	Rows                       []row
	From, To, Fitting, Stored  int
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	q, queryErr := readQuery(r)
	page, fitting, stored, err := s.find(q, maxRows)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	v := listView{
		query: q, Dir: untrusted.Printable(s.Dir), Fitting: fitting, Stored: stored,
		Outcomes: []string{report.Pass, report.Fail, report.Inconclusive, report.Invalid, report.Measured},
		Kinds:    []string{report.KindSplit, report.KindLatency, report.KindDrill, report.KindWatch},
	}
	if queryErr != nil {
		v.Problem = untrusted.Printable(queryErr.Error())
	}
	for _, x := range page {
		v.Rows = append(v.Rows, x.row())
	}
	v.To = (q.Page-1)*maxRows + len(page)
	v.From = v.To - len(page) + 1
	if q.Page > 1 {
		v.Newer = q.address(q.Page - 1)
	}
	if v.To < fitting {
		v.Older = q.address(q.Page + 1)
	}
	for _, text := range []*string{&v.Split, &v.Label, &v.Text} {
		*text = untrusted.Printable(*text)
	}
	body, err := filled("list", v)
	s.send(w, http.StatusOK, render.Page{
		Title: "Runs - splitbench", Body: body, Scripts: []template.JS{render.PageScript()}, Forms: true,
	}, err)
}

// listed is one run of the list for programs.
type listed struct {
	report.Summary

	Status string `json:"status"`
	Why    string `json:"why,omitempty"`
	Page   string `json:"page"`
}

// listJSON is the list for programs: what the page shows, filtered in the same way.
func (s *server) listJSON(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r)
	if err != nil {
		http.Error(w, untrusted.Printable(err.Error()), http.StatusBadRequest)
		return
	}
	page, fitting, _, err := s.find(q, maxRows)
	if err != nil {
		http.Error(w, untrusted.Printable(err.Error()), http.StatusInternalServerError)
		return
	}
	doc := struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Fitting    int      `json:"fitting"`
		Runs       []listed `json:"runs"`
	}{report.APIVersion, "ServedRuns", fitting, []listed{}}
	for _, x := range page {
		row := x.row()
		one := listed{Summary: x.Summary, Status: row.Status, Why: row.Why, Page: row.Link}
		if x.err != nil {
			one.Summary = report.Summary{ID: x.ID}
		}
		doc.Runs = append(doc.Runs, one)
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		http.Error(w, untrusted.Printable(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(report.EscapeUnprintable(b), '\n')) // who went away misses nothing
}

// history is how a split went, run by run.
func (s *server) history(w http.ResponseWriter, r *http.Request) {
	q := query{Split: r.URL.Query().Get("split"), Page: 1}
	if q.Split == "" {
		s.problem(w, http.StatusBadRequest, errors.New("name a split: /history?split=NAMESPACE/NAME"))
		return
	}
	page, fitting, _, err := s.find(q, maxHistory)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	h := report.History{Subject: q.Split, All: fitting, Runs: []report.Summary{}}
	for _, x := range slices.Backward(page) {
		if x.err != nil || x.Outcome == "" {
			continue
		}
		if len(x.Shares) == 0 { // a summary of an earlier version
			if rep, err := s.Report(x.folder); err == nil {
				now := report.Summarize(rep)
				x.Shares, x.Costs = now.Shares, now.Costs
			}
		}
		h.Runs = append(h.Runs, x.Summary)
	}
	s.document(w, h.Outline(), h)
}

// health says whether runs can be listed, to whoever asks: nothing else is said.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	if _, err := os.ReadDir(s.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		http.Error(w, "the results folder cannot be read", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
