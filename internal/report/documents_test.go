package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
)

// documents are reports of everything that can happen, by name: what package judge's tests made of drafts.
func documents(t testing.TB) map[string]Report {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no documents", err)
	}
	out := map[string]Report{}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".json"); name != "pass-baseline" {
			out[name] = readDocument(t, name)
		}
	}
	return out
}

func readDocument(t testing.TB, name string) Report {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func greenChecks() []preflight.Result {
	return []preflight.Result{
		{ID: "SB001", Category: "client", Name: "client pod is ready", Severity: preflight.Fatal, Status: preflight.OK, Seen: "frontend-7d9c-x2x"},
		{ID: "SB002", Category: "client", Name: "client pod is meshed", Severity: preflight.Fatal, Status: preflight.OK, Seen: "container linkerd-proxy is ready"},
		{ID: "SB010", Category: "mirror", Name: "gateway address is the mirror's endpoint", Severity: preflight.Fatal, Status: preflight.OK, Seen: "10.0.2.15:4143"},
	}
}

// hostile is what an attacker who names things and answers requests could send.
const hostile = "<script>alert(1)</script>\x1b[2J\x1b]0;pwned\x07 |`**_~~ @octocat #1 ![x](http://evil.test/x.png) www.evil.test\r\n## PASS\u202etxt\u200b\x9b31m\x00"
