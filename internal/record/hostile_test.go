package record

import (
	"fmt"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/store"
)

// A folder that was mailed may hold what no run writes. It is refused before anything is computed with it.
func TestManifestsThatNoRunWrites(t *testing.T) {
	for want, change := range map[string]func(*Manifest){
		"":                        func(*Manifest) {},
		"alpha: -1":               func(m *Manifest) { m.Options.Alpha = -1 },
		"power: 1":                func(m *Manifest) { m.Options.Power = 1 },
		"gate: \"none\"":          func(m *Manifest) { m.Options.Gate = "none" },
		"max states: -1":          func(m *Manifest) { m.Options.MaxStates = -1 },
		"it holds 200000 weights": func(m *Manifest) { m.Weights = make(analyze.Weights, 200_000) },
	} {
		m := Manifest{Schema: ManifestSchema, Options: analyze.DefaultOptions()}
		for i := range 2 {
			m.Weights = append(m.Weights, analyze.Weight{Backend: fmt.Sprint("b", i), W: 1})
		}
		change(&m)
		dir, id := t.TempDir(), "20261122t071502z-test-podinfo-aaaa"
		r, err := store.Create(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(store.Complete); err != nil {
			t.Fatal(err)
		}
		f, err := store.Open(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Read(f)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("read with %v, want %q", err, want)
		}
	}
}
