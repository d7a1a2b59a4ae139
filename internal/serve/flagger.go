package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// flaggerPath is where Flagger's webhook asks, if it may.
const flaggerPath = "/v1/flagger"

const (
	maxFlaggerBody = 64 << 10
	// flaggerRetry is when to ask again, in seconds. Flagger's client waits that long between its retries of a 503, and
	// does not retry a 412.
	flaggerRetry = "5"
	// clockSlack is how far the clock of whoever made a run may be ahead: what is further has no age that could be told.
	clockSlack = time.Minute
)

// flaggerCall is what Flagger posts (CanaryWebhookPayload of its API v1beta1).
type flaggerCall struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Phase     string            `json:"phase"`
	Checksum  string            `json:"checksum"`
	Metadata  map[string]string `json:"metadata"`
}

// question is what the metadata of a call ask for.
type question struct {
	subject string // namespace/name of the split
	maxAge  time.Duration
	labels  map[string]string
}

// flagger answers Flagger's webhook from the newest stored run of a split: 200 for a pass, 412 for every other outcome,
// 503 where there is no outcome yet. The body is one line of plain text, which Flagger writes into the canary's events.
// It runs nothing: what a call says can only choose among runs.
func (s *server) flagger(w http.ResponseWriter, r *http.Request) {
	q, status, err := readCall(w, r)
	text := ""
	if err != nil {
		text = untrusted.Printable(err.Error())
	} else {
		status, text = s.answer(q, time.Now())
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", flaggerRetry)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who went away misses nothing
}

// readCall reads the body strictly: a key that is misspelt must not make a gate wider. The status is that of the error.
func readCall(w http.ResponseWriter, r *http.Request) (question, int, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return question{}, http.StatusUnsupportedMediaType, errors.New("content type: want application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFlaggerBody))
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var call flaggerCall
	if err == nil {
		err = dec.Decode(&call)
	}
	if err == nil {
		err = noKeyTwice(body)
	}
	if err == nil {
		if _, more := dec.Token(); more == nil {
			err = errors.New("more follows the first document")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return question{}, http.StatusRequestEntityTooLarge, fmt.Errorf("body: larger than %d bytes", large.Limit)
	}
	if err != nil {
		return question{}, http.StatusBadRequest, fmt.Errorf("body: %w", err)
	}
	q, err := call.question()
	return q, http.StatusBadRequest, err
}

// noKeyTwice refuses a document in which an object has a key twice, in whatever case: the last would count.
func noKeyTwice(document []byte) error {
	dec := json.NewDecoder(bytes.NewReader(document))
	type object struct {
		keys map[string]bool // nil: a list
		key  bool            // the next token is a key
	}
	open := []object{{}}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		in := &open[len(open)-1]
		delim, isDelim := token.(json.Delim)
		if key, ok := token.(string); ok && in.key {
			if key = strings.ToLower(key); in.keys[key] {
				return fmt.Errorf("key %q is there twice", key)
			}
			in.keys[key], in.key = true, false
			continue
		}
		in.key = in.keys != nil
		switch {
		case isDelim && (delim == '}' || delim == ']'):
			open = open[:len(open)-1]
		case isDelim && delim == '{':
			open = append(open, object{map[string]bool{}, true})
		case isDelim:
			open = append(open, object{})
		}
	}
}

// question checks the metadata. The split is that of the canary's name where they name none.
func (c flaggerCall) question() (question, error) {
	for k := range c.Metadata {
		if !slices.Contains([]string{"split", "maxAge", "labels"}, k) {
			return question{}, fmt.Errorf("metadata %q: want split, maxAge or labels", k)
		}
	}
	split := c.Name
	if named, ok := c.Metadata["split"]; ok {
		split = named
	}
	switch {
	case c.Namespace == "":
		return question{}, errors.New("namespace: it is empty")
	case split == "" || strings.Contains(split, "/"):
		return question{}, fmt.Errorf("metadata split %q: want the name of the split alone, such as podinfo", split)
	}
	maxAge, err := time.ParseDuration(c.Metadata["maxAge"])
	if err != nil || maxAge <= 0 {
		return question{}, fmt.Errorf("metadata maxAge %q: want a duration shorter than the canary's interval, such as 2m",
			c.Metadata["maxAge"])
	}
	labels, err := parseLabels(c.Metadata["labels"])
	if err != nil {
		return question{}, fmt.Errorf("metadata labels: %w", err)
	}
	return question{c.Namespace + "/" + split, maxAge, labels}, nil
}

// answer is the status and the line for the newest run that fits. A run's age counts from its start, so that none of
// its requests is older than was asked for. Simulated runs never count.
func (s *server) answer(q question, now time.Time) (int, string) {
	folders, err := store.List(s.Dir)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return http.StatusServiceUnavailable, untrusted.Printable(err.Error())
	}
	subject := untrusted.Printable(q.subject)
	for _, f := range folders { // newest first
		sum, err := s.Summarize(f)
		if err != nil {
			started, ok := f.Started()
			if !ok || now.Sub(started) > q.maxAge || f.Status == store.Running { // the last has not said yet what it measures
				continue
			}
			return http.StatusPreconditionFailed, fmt.Sprintf(
				"invalid: run %s cannot be read, and may be of this split: %s", f.ID, untrusted.Printable(err.Error()))
		}
		if sum.Kind != report.KindSplit || sum.Simulated || sum.Subject != q.subject || !sum.HasLabels(q.labels) {
			continue
		}
		age := now.Sub(sum.Started)
		switch {
		case age > q.maxAge:
			return http.StatusServiceUnavailable, fmt.Sprintf(
				"no run yet: the newest of %s, %s, started %s ago, and at most %s was asked for",
				subject, f.ID, age.Round(time.Second), q.maxAge)
		case age < -clockSlack:
			return http.StatusPreconditionFailed, fmt.Sprintf(
				"invalid: run %s starts %s from now: the clocks differ", f.ID, -age.Round(time.Second))
		case f.Status == store.Running:
			return http.StatusServiceUnavailable, fmt.Sprintf(
				"measuring: run %s of %s is under way for %s", f.ID, subject, age.Round(time.Second))
		}
		return s.outcome(f, age)
	}
	return http.StatusServiceUnavailable, fmt.Sprintf("no run yet: none of %s started in the last %s", subject, q.maxAge)
}

// outcome is what a run that ended says. Only a complete run whose files are as they were written can pass.
func (s *server) outcome(f store.Folder, age time.Duration) (int, string) {
	v, err := f.Verify()
	if err == nil && v.State != store.VerifiedComplete {
		err = errors.New(v.String())
	}
	var r report.Report
	if err == nil {
		r, err = s.Report(f)
	}
	if err != nil {
		return http.StatusPreconditionFailed, fmt.Sprintf("invalid: run %s: %s", f.ID, untrusted.Printable(err.Error()))
	}
	why := "no reason is stored"
	if len(r.Verdict.Reasons) > 0 {
		why = strings.TrimSuffix(r.Verdict.Reasons[0], ".")
	}
	status := http.StatusPreconditionFailed
	if r.Verdict.Outcome == report.Pass {
		status = http.StatusOK
	}
	return status, fmt.Sprintf("%s: %s (run %s, %s ago)",
		untrusted.Printable(r.Verdict.Outcome), untrusted.Printable(why), f.ID, age.Round(time.Second))
}
