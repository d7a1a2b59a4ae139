package preflight

import (
	"bufio"
	_ "embed"
	"net/textproto"
	"strings"
)

// Explanation is what can be said of a check without a cluster.
type Explanation struct {
	Looks  string // which objects it looks at, and what it asks the pod with --probe
	Cause  string // what is wrong when it is not green, and what follows
	Remedy string // what to do about it, with the command in its general form
}

// Explain returns the check with this id, and false if there is none.
func Explain(id string) (Check, bool) {
	for _, c := range Checks() {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// checksText has one block of fields for each check, in the order in which they are shown. What it states about Linkerd
// holds for its proxy and control plane as of 2026, and was read in their code or documents.
//
//go:embed checks.txt
var checksText string

// described are the checks as the text has them, without what they do. A line that begins with a space continues the
// field before it.
func described() []Check {
	var out []Check
	for r := textproto.NewReader(bufio.NewReader(strings.NewReader(checksText))); ; {
		h, err := r.ReadMIMEHeader()
		if h.Get("ID") != "" {
			out = append(out, Check{
				ID: h.Get("ID"), Category: h.Get("Category"), Name: h.Get("Name"), Severity: Severity(h.Get("Severity")),
				After:       strings.FieldsFunc(h.Get("After"), func(r rune) bool { return r == ',' || r == ' ' }),
				Explanation: Explanation{Looks: h.Get("Looks"), Cause: h.Get("Cause"), Remedy: h.Get("Remedy")},
			})
		}
		if err != nil { // the end of the text: every check's words are held by docs/checks.md
			return out
		}
	}
}
