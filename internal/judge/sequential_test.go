package judge

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
)

func halves() analyze.Weights { return analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}} }

// feed gives the looker n requests of which share p go to backend 0 and share lost to nobody, in the given order of
// arrival.
func feed(t *testing.T, l *Looker, seed uint64, n int, p, lost float64, arrive func([]int)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	backends, order := make([]int, n), make([]int, n)
	for i := range backends {
		order[i] = i
		switch x := rng.Float64(); {
		case rng.Float64() < lost:
			backends[i] = -1
		case x >= p:
			backends[i] = 1
		}
	}
	arrive(order)
	for _, i := range order {
		if decided, err := l.Add(uint64(i), backends[i]); err != nil {
			t.Fatal(err)
		} else if decided {
			break
		}
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
}

func inOrder([]int) {}

// lateHalf has every second request's answer come 40 requests late, as through a slow gateway.
func lateHalf(order []int) {
	late := map[int]bool{}
	for _, i := range order {
		late[i] = i%2 == 0
	}
	out := make([]int, 0, len(order))
	for i := range order {
		if !late[i] {
			out = append(out, i)
		}
		if j := i - 40; j >= 0 && late[j] {
			out = append(out, j)
		}
	}
	for i := max(0, len(order)-40); i < len(order); i++ {
		if late[i] {
			out = append(out, i)
		}
	}
	copy(order, out)
}

func TestLooksDoNotDependOnTheOrderOfAnswers(t *testing.T) {
	t.Parallel()
	var got [2]*Looker
	for i, arrive := range []func([]int){inOrder, lateHalf} {
		l, err := NewLooker(halves(), analyze.DefaultOptions(), 50)
		if err != nil {
			t.Fatal(err)
		}
		feed(t, l, 7, 5000, 0.5, 0, arrive)
		got[i] = l
	}
	if got[0].outcome != analyze.Pass || got[0].next >= 5000 {
		t.Errorf("outcome %s after %d requests", got[0].outcome, got[0].next)
	}
	if got[0].looks != got[1].looks || got[0].outcome != got[1].outcome {
		t.Errorf("in order: %d looks, %s; late: %d looks, %s", got[0].looks, got[0].outcome, got[1].looks, got[1].outcome)
	}
	if d := cmp.Diff(got[0].last, got[1].last); d != "" {
		t.Error(d)
	}
}

func TestLooksDecideOrSayThatTheyDoNot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		n       int
		p, lost float64
		want    analyze.Outcome
	}{
		// Shares 15 points off: some 150 requests show it. On target: some 1,100 show 5 points. Thirty show nothing.
		{"off", 5000, 0.65, 0, analyze.Fail},
		{"on target", 5000, 0.5, 0, analyze.Pass},
		{"too few", 30, 0.5, 0, analyze.Inconclusive},
		// A tenth of all answers lost: each share could be off by 5 points more, so that nothing can be shown to be inside.
		{"too many lost", 5000, 0.5, 0.1, analyze.Inconclusive},
		// Off by 15 points, 1 % lost: still outside.
		{"off and some lost", 5000, 0.65, 0.01, analyze.Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := NewLooker(halves(), analyze.DefaultOptions(), 50)
			if err != nil {
				t.Fatal(err)
			}
			feed(t, l, 11, tt.n, tt.p, tt.lost, inOrder)
			if l.outcome != tt.want {
				t.Errorf("outcome %s after %d requests, want %s", l.outcome, l.next, tt.want)
			}
		})
	}
}

// A weight-0 backend that answered is a failure whatever else was lost, and also where it answers after the deciding look.
func TestALeakFailsASequentialRun(t *testing.T) {
	t.Parallel()
	w := analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}, {Backend: "c", W: 0}}
	l, err := NewLooker(w, analyze.DefaultOptions(), 50)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		backend := i % 2
		switch i {
		case 7:
			backend = 2
		case 8:
			backend = -1
		}
		if _, err := l.Add(uint64(i), backend); err != nil {
			t.Fatal(err)
		}
	}
	if l.outcome != analyze.Fail {
		t.Errorf("outcome %s", l.outcome)
	}
	var doc draft
	d := analyze.Decision{Outcome: analyze.Pass}
	leakAfter(&doc, &d, w, &Tally{counts: analyze.Counts{N: []int64{1000, 1000, 3}}})
	if d.Outcome != analyze.Fail || len(d.Reasons) != 0 || !slices.Equal(doc.Verdict.ReasonCodes, []string{analyze.CodeLeak}) {
		t.Errorf("a leak after the look: %+v, %+v", d, doc.Verdict)
	}
}
