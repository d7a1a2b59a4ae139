package report

import (
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// WriteChecksJUnit writes the checks of splits as JUnit XML, one suite for each split, one case for each check, root causes
// before what follows from them. A fatal failure is an error; what is neither green nor red is a skipped case. Its errors are those of w.
func WriteChecksJUnit(w io.Writer, all []SplitChecks) error {
	doc := junit.Testsuites{Name: "splitbench check"}
	for i, s := range mapStrings(all, forXML) {
		name := "splitbench check"
		if s.name() != "" {
			name += " " + s.name()
		}
		suite := junit.Testsuite{Name: name, ID: i, Time: junitSeconds(0), Package: "splitbench"}
		class := strings.NewReplacer(" ", ".", "/", ".").Replace(name)
		for _, c := range byCause(s.Checks) {
			suite.AddTestcase(checkCase(c, class))
		}
		doc.AddSuite(suite)
	}
	doc.Time = junitSeconds(0)
	if _, err := io.WriteString(w, xmlHeader); err != nil {
		return err
	}
	return doc.WriteXML(w)
}
