// Package serve shows the runs of a results folder in a browser: a list to filter, each run's report, and two runs
// compared.
//
// It refuses to change anything, to run anything, and to be reached by whom it was not meant for: it answers GET and
// HEAD alone, names only runs of its folder, and without a token only hosts that are this machine. Where it is asked to
// be a gate, it answers Flagger's POST too, from the same runs.
//
// Invariant: every page is whole in itself and its content security policy lets nothing else act. Text of runs is
// escaped by html/template; what is shown of it was made harmless before, as in a report.
package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Options are what a Handler is made of. The functions are the caller's, because reading and comparing runs takes rooms
// that this one does not know.
type Options struct {
	Dir       string
	Token     string // "": only names of this machine are answered
	Summarize func(store.Folder) (report.Summary, error)
	Report    func(store.Folder) (report.Report, error)
	Compare   func(base, latest store.Folder) (report.RunComparison, error)
	Flagger   bool // answer Flagger's webhook at POST /v1/flagger
}

// Handler answers the pages. What it keeps of a run between requests it keeps until a file of the run is another one:
// it shows what is in the folder now.
func Handler(o Options) http.Handler {
	s := &server{Options: o, seen: map[string]run{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("GET /runs/{id}/{$}", s.run)
	mux.HandleFunc("GET /runs/{id}/report.html", s.elsewhere)
	mux.HandleFunc("GET /{id}/report.html", s.elsewhere)
	mux.HandleFunc("GET /runs.json", s.listJSON)
	mux.HandleFunc("GET /history", s.history)
	mux.HandleFunc("GET /compare", s.compare)
	if o.Flagger {
		mux.HandleFunc("POST "+flaggerPath, s.flagger)
	}
	return s.guard(mux)
}

type server struct {
	Options

	mu   sync.Mutex
	seen map[string]run // by id
}

// tokenCookie holds the token after the first request, so that it need not stand in every link.
const tokenCookie = "splitbench"

// guard lets in who may come in. Without a token the name in the request must be this machine's: a page elsewhere could
// otherwise have its own name resolved to 127.0.0.1 and read the runs (DNS rebinding).
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.URL.Path == "/healthz" { // asked by address and without a token
			s.health(w, r)
			return
		}
		if s.Token == "" {
			if !localName(r.Host) {
				http.Error(w, "this page is for this machine alone: ask for it as localhost", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		if given := r.URL.Query().Get("token"); given != "" {
			if !s.knows(given) {
				http.Error(w, "the token is not the one that splitbench serve was given", http.StatusForbidden)
				return
			}
			http.SetCookie(w, &http.Cookie{
				Name: tokenCookie, Value: s.seal(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
			})
			q := r.URL.Query()
			q.Del("token")
			u := *r.URL
			u.RawQuery, u.Scheme, u.Host = q.Encode(), "", ""
			http.Redirect(w, r, "/"+strings.TrimLeft(u.String(), "/"), http.StatusSeeOther)
			return
		}
		if !s.admitted(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="splitbench"`)
			http.Error(w, "a token is needed: open this address with ?token=TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) admitted(r *http.Request) bool {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.knows(bearer)
	}
	// A webhook of Flagger's takes no header, but its client sends what stands before the @ of the URL, and leaves it out
	// of errors.
	if _, password, ok := r.BasicAuth(); ok && s.Flagger && r.URL.Path == flaggerPath {
		return s.knows(password)
	}
	c, err := r.Cookie(tokenCookie)
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(s.seal())) == 1
}

func (s *server) knows(token string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// seal stands for the token in the cookie, which a browser keeps on disk.
func (s *server) seal() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte("splitbench serve "+s.Token)))
}

// localName reports whether a request's Host is this machine.
func localName(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

// Loopback reports whether an address to listen at is reachable from this machine alone. A name is not: what it
// resolves to may change.
func Loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("%q: want HOST:PORT: %w", address, err)
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback(), nil
}

// send writes a page whole, or an error in its place.
func (s *server) send(w http.ResponseWriter, status int, p render.Page, err error) {
	var b bytes.Buffer
	if err == nil {
		err = render.WritePage(&b, p)
	}
	if err != nil {
		http.Error(w, "the page could not be made: "+untrusted.Printable(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", p.Policy()+"; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who went away misses nothing
}

// open finds a run of the folder by its whole id, and nothing else: no path leads out of it.
func (s *server) open(id string) (store.Folder, error) {
	if id == "" || strings.ContainsAny(id, `/\`) || strings.HasPrefix(id, ".") {
		return store.Folder{}, fmt.Errorf("run %q: %w", untrusted.Printable(id), store.ErrNotFound)
	}
	f, err := store.Open(s.Dir, id)
	if err == nil && f.ID != id {
		err = fmt.Errorf("run %q: %w", untrusted.Printable(id), store.ErrNotFound)
	}
	return f, err
}

// statusOf maps what is wrong with a run to an HTTP status.
func statusOf(err error) int {
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrForeign), errors.Is(err, store.ErrSymlink),
		errors.Is(err, store.ErrOutside):
		return http.StatusNotFound
	}
	return http.StatusUnprocessableEntity
}

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
