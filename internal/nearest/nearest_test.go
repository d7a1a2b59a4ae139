package nearest

import "testing"

func TestTo(t *testing.T) {
	for _, row := range []struct {
		word, want string
		candidates []string
	}{
		{"podinf", "podinfo", []string{"frontend", "podinfo", "podinfo-east"}},
		{"ts/podinf", "ts/podinfo", []string{"ts/other", "ts/podinfo"}},
		{"depoly/frontend", "deploy/frontend", []string{"ds/frontend", "deploy/frontend"}},
		{"wst", "west", []string{"east", "west"}},
		{"eas", "east", []string{"east", "west"}},
		{"SB12", "SB012", []string{"SB001", "SB012", "SB021"}},
		{"frontend", "deploy/frontend", []string{"pod/frontend-9rpzsqdppc-55bpm", "deploy/frontend"}},
		{"podinf", "ts/podinfo", []string{"ts/podinfo"}},
		{"--tolerace", "--tolerance", []string{"--rate", "--tolerance"}},
		{"jsn", "json", []string{"text", "json", "yaml"}},
		{"job/x", "", []string{"deploy/x", "sts/x"}},
		{"job", "", []string{"pod", "ds", "rs"}},
		{"production", "", []string{"east", "west"}},
		{"x", "", []string{"east", "west"}},
		{"", "", []string{"east"}},
		{"east", "", nil},
	} {
		if got := To(row.word, row.candidates); got != row.want {
			t.Errorf("To(%q, %q) = %q, want %q", row.word, row.candidates, got, row.want)
		}
	}
}

// Provenance: counted by hand.
func TestSlips(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := slips(row.a, row.b); got != row.want {
			t.Errorf("slips(%q, %q) = %d, want %d", row.a, row.b, got, row.want)
		}
	}
}
