package judge

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/report"
)

func byCluster(t *testing.T) []ClassifyRule {
	t.Helper()
	var rules []ClassifyRule
	for _, s := range []string{"a=json:/message=west", "b=json:/message=east", "b=header:X-Cluster=east"} {
		r, err := ParseClassify(s)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	return rules
}

// kept is n answers at 100/s that took 20 ms, of which share p come from the west.
func kept(n int, p float64) []export.Answer {
	rng := rand.New(rand.NewPCG(5, 0))
	began := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	all := make([]export.Answer, n)
	for i := range all {
		sent := time.Duration(i) * 10 * time.Millisecond
		all[i] = export.Answer{
			At: began.Add(sent), URL: "http://podinfo:9898/", Body: []byte(`{"message":"west"}`),
			Result: attack.Result{
				Seq: uint64(i), Planned: sent, Sent: sent, Done: sent + 20*time.Millisecond, Status: 200,
				Backend: attack.Unattributed, Conn: attack.UnknownConn,
			},
		}
		if rng.Float64() >= p {
			all[i].Body = []byte(`{"message":"east"}`)
		}
	}
	return all
}

func answersOf(all []export.Answer) iter.Seq2[export.Answer, error] {
	return func(yield func(export.Answer, error) bool) {
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// With 5,000 requests a split on target passes 5 points but for one time in 500,000 (off by 4.7 standard deviations of
// 0.00707), and one that is 15 points off fails but for one in more than a billion.
func TestAnswersOfAnotherLoadTest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		p      float64
		change func([]export.Answer) []export.Answer
		want   string
		text   string // in a reason, a warning or a remedy
	}{
		{"on target", 0.5, nil, report.Pass, "does not say when requests should have been sent"},
		{"off", 0.65, nil, report.Fail, "b got 35"},
		{"by a header", 0.5, func(all []export.Answer) []export.Answer {
			for i := range all {
				if strings.Contains(string(all[i].Body), "east") {
					all[i].Header, all[i].Body = http.Header{"X-Cluster": {"east"}}, nil
				}
			}
			return all
		}, report.Pass, ""},
		{"without bodies", 0.5, func(all []export.Answer) []export.Answer {
			for i := range all {
				all[i].Body = nil
			}
			return all
		}, report.Invalid, "without -max-body"},
		{"an answer of neither", 0.5, func(all []export.Answer) []export.Answer {
			all[7].Body = []byte("<html>who am I</html>")
			return all
		}, report.Invalid, "1 complete answers came from no known backend"},
		{"a third lost", 0.5, func(all []export.Answer) []export.Answer {
			for i := range all {
				if i%3 == 0 {
					all[i].Body, all[i].Result.Status, all[i].Result.Err = []byte(`{"message":"west"}`), 0, attack.ErrOther
				}
			}
			return all
		}, report.Inconclusive, "unattributed"},
		{"nothing but errors", 0.5, func(all []export.Answer) []export.Answer {
			for i := range all {
				all[i].Body, all[i].Result.Status, all[i].Result.Err = nil, 0, attack.ErrOther
			}
			return all
		}, report.Invalid, "0 of 5,000"},
		{"each of them twice", 0.5, func(all []export.Answer) []export.Answer {
			return slices.Concat(all, all)
		}, report.Invalid, "5000 of the 10000 results are in the file twice"},
		{"none", 0.5, func([]export.Answer) []export.Answer { return nil }, report.Invalid, "no request"},
		// The file is in another order than the sending was; the order of sending shows 50 in a row to the same side.
		{"in rows of 50", 0.5, func(all []export.Answer) []export.Answer {
			for i := range all {
				all[i].Body = []byte([]string{`{"message":"west"}`, `{"message":"east"}`}[i/50%2])
				all[i].Result.Seq = uint64(i / 2) // two attacks in one file
			}
			rand.New(rand.NewPCG(6, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			return all
		}, report.Inconclusive, "where a request goes repeats every 100 requests"},
	}
	w := analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := kept(5000, tt.p)
			if tt.change != nil {
				all = tt.change(all)
			}
			r, err := AnalyzeAnswers(answersOf(all), w, byCluster(t), analyze.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(slices.Concat(r.Verdict.Reasons, r.Verdict.Remedies, r.Warnings), "\n")
			if r.Verdict.Outcome != tt.want || !strings.Contains(said, tt.text) {
				t.Errorf("outcome %s, want %s; %q is not in:\n%s", r.Verdict.Outcome, tt.want, tt.text, said)
			}
		})
	}
}

func TestAnswersKeepTheirTimes(t *testing.T) {
	t.Parallel()
	w := analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}}
	all := kept(1000, 0.5)
	all[0], all[999] = all[999], all[0] // the first in the file was sent last
	for i := range all {
		r := &all[i].Result
		r.Planned, r.Sent, r.Done = r.Planned-9990*time.Millisecond, r.Sent-9990*time.Millisecond,
			r.Done-9990*time.Millisecond
	}
	r, err := AnalyzeAnswers(answersOf(all), w, byCluster(t), analyze.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	// 1,000 requests 10 ms apart: 9.99 s from the first to the last.
	if r.Load == nil || r.Load.DurationSeconds != 9.99 || r.Load.Requests != 1000 || r.Load.SendLag.P99Us != nil ||
		r.Load.ServiceTime.P50Ms == nil || *r.Load.ServiceTime.P50Ms != 20 {
		t.Errorf("load %+v", r.Load)
	}
	if r.Run == nil || r.Run.Ended.Sub(r.Run.Started) != 10_010*time.Millisecond || r.Run.URL != "http://podinfo:9898/" {
		t.Errorf("run %+v", r.Run)
	}
	if r.Backends[1].Signature != "json:/message=east (--classify), or header:X-Cluster=east (--classify)" {
		t.Errorf("signature %q", r.Backends[1].Signature)
	}
}

func TestAnswersThatEndBadlyAreNotJudged(t *testing.T) {
	t.Parallel()
	w := analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}}
	broken := errors.New("broken")
	read := 0
	cut := func(yield func(export.Answer, error) bool) {
		read++
		_ = yield(kept(1, 1)[0], nil) && yield(export.Answer{}, fmt.Errorf("1 whole results, then %w", broken))
	}
	if r, err := AnalyzeAnswers(cut, w, byCluster(t), analyze.DefaultOptions()); !errors.Is(err, broken) ||
		r.Verdict.Outcome != "" {
		t.Errorf("%v, %+v", err, r.Verdict)
	}
	for name, rules := range map[string][]ClassifyRule{"none": nil, "only a's": byCluster(t)[:1]} {
		if _, err := AnalyzeAnswers(cut, w, rules, analyze.DefaultOptions()); err == nil ||
			!strings.HasPrefix(err.Error(), "--classify") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if read != 1 {
		t.Errorf("read %d times: wrong rules must be seen before", read)
	}
}

// TestOneCauseOfAnOrder is a balancer that begins with its heavy endpoint, as Envoy's did (envoyproxy/envoy, issue
// 31378), and what else shares of 100:10 may hide: whatever the checks of the order find, one cause is said, the right
// one.
func TestOneCauseOfAnOrder(t *testing.T) {
	t.Parallel()
	w := analyze.Weights{{Backend: "a", W: 100}, {Backend: "b", W: 10}}
	rng := rand.New(rand.NewPCG(22, 0))
	drawn := func(int) bool { return rng.IntN(11) > 0 }
	tests := []struct {
		name    string
		heavy   func(i int) bool
		outcome string
		cause   string // its kind
		says    string
		at      float64  // seconds after the start that the range of the change must hold
		parts   []string // outcomes of the parts by themselves
	}{
		// 500 of the heavy one have odds of 2e-21; the shares of all are 1.3 standard deviations from the edge of a pass
		{
			"late", func(i int) bool { return i < 500 || drawn(i) }, report.Inconclusive, analyze.CauseChange,
			"before, a had 100 % (99.3 to 100); after, 9", 5,
			[]string{report.Fail, report.Pass},
		},
		{
			"sorted", func(i int) bool { return i < 4545 }, report.Inconclusive, analyze.CauseChange,
			"the shares changed 45.5 s after the start (99 of 100 sure: 45.5 s to 45.5 s), after request 4,545 of 5,000",
			45.45,
			[]string{report.Fail, report.Fail},
		},
		{"cycle", func(i int) bool { return i%11 != 0 }, report.Pass, analyze.CauseTurns, "backends take turns", 0, nil},
		{"fair", drawn, report.Pass, "", "", 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := kept(5000, 1)
			for i := range all {
				if !tt.heavy(i) {
					all[i].Body = []byte(`{"message":"east"}`)
				}
			}
			r, err := AnalyzeAnswers(answersOf(all), w, byCluster(t), analyze.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			kind, said, parts := "", 0, []string(nil)
			if r.Cause != nil {
				kind = r.Cause.Kind
				for _, c := range r.Cause.Changes {
					if len(r.Cause.Changes) != 1 || tt.at < c.LowSeconds || tt.at > c.HighSeconds {
						t.Errorf("changes %+v, want one at %g s", r.Cause.Changes, tt.at)
					}
				}
			}
			for _, line := range r.Diagnostics {
				if !line.OK && line.Effect != report.EffectKeep {
					said++
				}
			}
			for _, s := range r.Segments {
				parts = append(parts, s.Outcome)
			}
			text := strings.Join(slices.Concat(r.Verdict.Reasons, r.Warnings), "\n")
			for _, line := range r.Diagnostics {
				text += "\n" + line.Text
			}
			if r.Verdict.Outcome != tt.outcome || kind != tt.cause || !strings.Contains(text, tt.says) ||
				(said == 1) != (tt.cause != "") || !slices.Equal(parts, tt.parts) {
				t.Errorf("%s, cause %q, %d said, parts %v, %q:\n%s", r.Verdict.Outcome, kind, said, parts, tt.says, text)
			}
		})
	}
}
