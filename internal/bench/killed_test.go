package bench

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/podexec"
)

// A generator that was killed because its pod was deleted is said to be that, not to lack memory; and errors that were
// joined are parts of one sentence.
func TestAGeneratorThatWasKilled(t *testing.T) {
	t.Parallel()
	for name, deleted := range map[string]bool{"pod deleted": true, "pod still there": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t, demo.Options{Seed: 81})
			cfg := connect(t, w, 100)
			r := newRun(cfg, report.KindSplit)
			if err := r.prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			pod := r.m.Before.Source.Name
			if deleted {
				request(t, cfg.REST, http.MethodDelete, "/api/v1/namespaces/test/pods/"+pod, "", "")
			}
			killed := fmt.Errorf("run burst: %w", &podexec.ExitError{Command: "agent", Code: podexec.Killed})
			r.fail(t.Context(), errors.Join(killed, errors.New("marks: gone")))
			want := "run burst: agent: exit code 137 (killed: container stopped, or out of memory); marks: gone"
			if deleted {
				want = "run burst: agent: exit code 137 (killed: pod " + pod + " was deleted); marks: gone"
			}
			if len(r.m.Failures) != 1 || r.m.Failures[0] != want {
				t.Errorf("%q, want %q", r.m.Failures, want)
			}
			if text := brief(errors.Join(errors.New("one"), errors.New("two")).Error()); strings.ContainsRune(text, '\uFFFD') {
				t.Errorf("%q", text)
			}
		})
	}
}
