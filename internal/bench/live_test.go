package bench

import (
	"math"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
)

// Facts are told at once and then as often as they may be, of what came meanwhile; those of a split held against its
// weights have ranges, which only get narrower and hold the share.
func TestLiveFactsOfASplit(t *testing.T) {
	w := analyze.Weights{{Backend: "west", W: 1}, {Backend: "east", W: 3}}
	held := analyze.DefaultOptions()
	var l liveFacts
	if f := l.facts(time.Now()); f != nil {
		t.Errorf("before it began: %+v", f)
	}
	l.begin(w, &held, 400, 4*time.Second)
	seq := uint64(0)
	send := func(n int, r attack.Result) {
		for range n {
			seq++
			r.Seq, r.Sent, r.Done = seq, time.Duration(seq)*time.Millisecond, time.Duration(seq+2)*time.Millisecond
			l.add(r)
		}
	}
	send(30, attack.Result{Backend: 0, Status: 200})
	send(70, attack.Result{Backend: 1, Status: 200})
	first := l.facts(l.began.Add(100 * time.Millisecond))
	if first == nil || l.facts(l.began.Add(900*time.Millisecond)) != nil {
		t.Fatalf("%+v, and more too soon", first)
	}
	send(20, attack.Result{Backend: 0, Status: 503})
	send(10, attack.Result{Backend: attack.Unattributed, Err: attack.ErrDial})
	send(10, attack.Result{Backend: 1, Err: attack.ErrDropped})
	f := l.facts(l.began.Add(1100 * time.Millisecond))
	if f == nil || f.Requests != 140 || f.Planned != 400 || f.Left != 2900*time.Millisecond || f.FailedNow != 40 ||
		f.Failures != "status 503: 20, dial: 10, dropped: 10" {
		t.Fatalf("%+v", f)
	}
	west := f.Parts[0]
	if west.Name != "west" || *west.Weight != 0.25 || west.Observed != 50 || math.Abs(*west.Share-50./120) > 1e-9 || west.Now != 20 {
		t.Errorf("%+v", west)
	}
	was := first.Parts[0].Range
	if now := west.Range; *now.Low < *was.Low || *now.High > *was.High || *now.Low > *west.Share || *now.High < *west.Share {
		t.Errorf("%g-%g after %g-%g of %g", *now.Low, *now.High, *was.Low, *was.High, *west.Share)
	}
	if f.Parts[1].Now != 0 || f.Parts[1].Observed != 70 {
		t.Errorf("%+v", f.Parts[1])
	}
}

// A drill breaks the split: it is held against nothing.
func TestLiveFactsOfADrillHaveNoRanges(t *testing.T) {
	var l liveFacts
	l.begin(analyze.Weights{{Backend: "west", W: 1}, {Backend: "east", W: 1}}, nil, 10, time.Second)
	l.add(attack.Result{Backend: 1, Status: 200, Sent: 1, Done: 2})
	f := l.facts(time.Now())
	if f == nil || f.Parts[0].Range != nil || f.Parts[1].Range != nil || *f.Parts[1].Share != 1 {
		t.Errorf("%+v", f)
	}
}

// Of a comparison each target has its own times, and what is left is told by what was sent so far.
func TestLiveFactsOfTargets(t *testing.T) {
	var l liveFacts
	l.begin(nil, nil, 400, 0)
	for i := range 100 {
		for _, took := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
			l.addTo("svc/"+took.String(), attack.Result{Seq: uint64(i), Status: 200, Sent: 1, Done: 1 + took})
		}
	}
	f := l.facts(l.began.Add(3 * time.Second))
	if f == nil || len(f.Parts) != 2 || f.Left != 3*time.Second || f.Parts[0].Share != nil {
		t.Fatalf("%+v", f)
	}
	for i, want := range []float64{1, 20} {
		if p := f.Parts[i]; p.Observed != 100 || math.Abs(*p.Times.P50Ms-want) > want/100 {
			t.Errorf("%+v: median %g", p, *p.Times.P50Ms)
		}
	}
}
