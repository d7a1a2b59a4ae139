package report

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// reportScript is the id of the element that holds the report's JSON inside its page.
const reportScript = "splitbench-report"

// ReadHTML gets the report back from the page of a report. A page without one, and a file that is none, are
// ErrNotReport; otherwise it refuses what ReadJSON refuses.
func ReadHTML(in io.Reader) (Report, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxReport+1))
	switch {
	case err != nil:
		return Report{}, fmt.Errorf("read report: %w", err)
	case len(b) > maxReport:
		return Report{}, fmt.Errorf("read report: %w: larger than %d bytes", ErrNotReport, maxReport)
	}
	// The JSON holds no < but those of escapes, so its element ends at the first one.
	open := []byte(`<script type="application/json" id="` + reportScript + `">`)
	at := bytes.LastIndex(b, open)
	if at < 0 {
		return Report{}, fmt.Errorf("read report: %w: the page holds no report of splitbench", ErrNotReport)
	}
	doc, _, ok := bytes.Cut(b[at+len(open):], []byte("<"))
	if !ok {
		return Report{}, fmt.Errorf("read report: %w: the page is cut short", ErrNotReport)
	}
	return ReadJSON(bytes.NewReader(doc))
}

// IsHTML reports whether a file begins as a page does, from its first bytes.
func IsHTML(head []byte) bool {
	head = bytes.ToLower(bytes.TrimLeft(head, "\ufeff \t\r\n"))
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html"))
}

var jsonHead = regexp.MustCompile(`^\s*\{\s*"apiVersion"\s*:\s*"splitbench\.io/`)

// IsJSON reports whether a file begins as a report in JSON does.
func IsJSON(head []byte) bool {
	return jsonHead.Match(head)
}
