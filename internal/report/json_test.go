package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func asJSON(t *testing.T, r Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is shown is what is stored: a report read back says the same.
func TestReadBackSaysTheSame(t *testing.T) {
	for name, r := range documents(t) {
		doc := asJSON(t, r)
		back, err := ReadJSON(bytes.NewReader(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if diff := cmp.Diff(dump(r.Outline()), dump(back.Outline())); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

func TestJSONHasNothingThatActsOnATerminal(t *testing.T) {
	r := readDocument(t, "hostile")
	r.Warnings = append(r.Warnings, "tag \U000e0041 private \U0010fffd")
	doc := asJSON(t, r)
	for _, r := range string(doc) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("JSON holds %U", r)
		}
	}
	back, err := ReadJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Warnings[len(back.Warnings)-1]; got != "tag \U000e0041 private \U0010fffd" {
		t.Errorf("escaped text came back as %q", got)
	}
}

func TestReadJSONRefuses(t *testing.T) {
	good := string(asJSON(t, readDocument(t, "pass")))
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"newer":         {strings.Replace(good, "splitbench.io/v1alpha1", "splitbench.io/v1beta1", 1), ErrNewer},
		"other kind":    {strings.Replace(good, `"SplitReport"`, `"LoadReport"`, 1), ErrNotReport},
		"other group":   {strings.Replace(good, "splitbench.io/", "example.org/", 1), ErrNotReport},
		"unknown field": {strings.Replace(good, `"kind"`, `"surprise": 1, "kind"`, 1), ErrNotReport},
		"wrong type":    {strings.Replace(good, `"backends": [`, `"backends": 1, "x": [`, 1), ErrNotReport},
		"cut short":     {good[:len(good)/2], ErrNotReport},
		"empty":         {"", ErrNotReport},
		"not JSON":      {"PASS", ErrNotReport},
		"a list":        {"[]", ErrNotReport},
	} {
		if _, err := ReadJSON(strings.NewReader(c.doc)); !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one sentence that is %v", name, err, c.want)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, r := range documents(f) {
		var b bytes.Buffer
		if err := WriteJSON(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := ReadJSON(bytes.NewReader(doc))
		if err != nil {
			return
		}
		dump(r.Outline())
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
