package serve

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
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

// elsewhere leads links between pages that lie in folders of runs to the pages here.
func (s *server) elsewhere(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/runs/"+url.PathEscape(r.PathValue("id"))+"/", http.StatusFound)
}

// document is the page of a document, with the way back to the list.
func (s *server) document(w http.ResponseWriter, o report.Outline, doc any) {
	p, err := render.PageOf(o, doc)
	nav, navErr := filled("nav", nil)
	p.Body = nav + p.Body
	s.send(w, http.StatusOK, p, errors.Join(err, navErr))
}

// compare shows two runs against each other: base and new, or the two that were ticked, of which the older is the base.
func (s *server) compare(w http.ResponseWriter, r *http.Request) {
	names := []string{r.URL.Query().Get("base"), r.URL.Query().Get("new")}
	if ticked := r.URL.Query()["run"]; len(ticked) > 0 {
		names = slices.Sorted(slices.Values(ticked)) // ids begin with the time
	}
	if len(names) != 2 || names[0] == "" || names[1] == "" {
		s.problem(w, http.StatusBadRequest, errors.New("tick two runs of the list to compare them"))
		return
	}
	var pair [2]store.Folder
	for i, name := range names {
		var err error
		if pair[i], err = s.open(name); err != nil {
			s.problem(w, statusOf(err), err)
			return
		}
	}
	c, err := s.Compare(pair[0], pair[1])
	if err != nil {
		s.problem(w, http.StatusUnprocessableEntity, err)
		return
	}
	s.document(w, c.Outline(), c)
}

// problem says in one sentence what is wrong.
func (s *server) problem(w http.ResponseWriter, status int, what error) {
	title := "Not shown"
	if errors.Is(what, store.ErrDamaged) {
		title = store.ErrDamaged.Error()
	}
	body, err := filled("problem", struct{ Title, What string }{title, untrusted.Printable(what.Error())})
	s.send(w, status, render.Page{Title: title + " - splitbench", Body: body}, err)
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
