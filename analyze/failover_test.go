package analyze

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var halves = Weights{{"west", 1}, {"east", 1}}

// story plays a drill at 100 requests a second: draw says who is drawn at an instant and whether that request is lost.
func story(length time.Duration, draw func(at time.Duration, coin int) (backend int, lost bool)) []Shot {
	rng := rand.New(rand.NewPCG(1, 2))
	var shots []Shot
	for at := time.Duration(0); at < length; at += 10 * time.Millisecond {
		b, lost := draw(at, rng.IntN(2))
		if lost {
			b = -1
		}
		shots = append(shots, Shot{Sent: at, Done: at + time.Millisecond, Backend: b, Lost: lost})
	}
	return shots
}

func liesIn(b *Bounded, low, high time.Duration) bool {
	return b != nil && b.At >= low && b.At <= high && b.Low <= b.At && b.At <= b.High
}

// West dies at 10 s and is back at 30 s; the weights are 0/1 from 14 s to 40 s. A coin shows each side within 0.3 s
// but for one time in 2^30.
func TestSilenceThatTheWeightsEnd(t *testing.T) {
	shots := story(60*time.Second, func(at time.Duration, coin int) (int, bool) {
		if at >= 14*time.Second && at < 40*time.Second {
			return 1, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 30*time.Second
	})
	moved := []Weighted{{0, halves}, {14 * time.Second, Weights{{"west", 0}, {"east", 1}}}, {40 * time.Second, halves}}
	got, err := Silences(shots, moved)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	s := got[0]
	if s.Backend != 0 || !liesIn(&s.Began, 9700*time.Millisecond, 10*time.Second) || !liesIn(s.FirstLost, 10*time.Second, 10300*time.Millisecond) {
		t.Errorf("began %+v, first lost %+v", s.Began, s.FirstLost)
	}
	if !liesIn(s.TakenOver, 13700*time.Millisecond, 14100*time.Millisecond) || !s.ByWeights && s.TakenOver.At >= 14*time.Second {
		t.Errorf("taken over %+v, by weights %t", s.TakenOver, s.ByWeights)
	}
	if !liesIn(s.Recovered, 40*time.Second, 40300*time.Millisecond) || !liesIn(s.BackToSplit, 39*time.Second, 41*time.Second) {
		t.Errorf("recovered %+v, back to the split %+v", s.Recovered, s.BackToSplit)
	}
	if s.Lost < 150 || s.Lost > 250 { // 400 coins: 5 standard deviations are 50
		t.Errorf("lost %d", s.Lost)
	}
	outage := Outage(shots, time.Second)
	if outage.Low < 3400*time.Millisecond || outage.High > 4300*time.Millisecond || outage.Low > outage.At || outage.At > outage.High {
		t.Errorf("outage %+v", outage)
	}
}

// West dies at 10 s, the weights are 0/1 from 14 s to 28 s, and west answers from 30 s on: what is lost of the draws
// since 28 s does not take back that the others carried all for 14 s.
func TestTakeoverBeforeTheWeightsCameBackTooSoon(t *testing.T) {
	shots := story(60*time.Second, func(at time.Duration, coin int) (int, bool) {
		if at >= 14*time.Second && at < 28*time.Second {
			return 1, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 30*time.Second
	})
	moved := []Weighted{{0, halves}, {14 * time.Second, Weights{{"west", 0}, {"east", 1}}}, {28 * time.Second, halves}}
	got, err := Silences(shots, moved)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	s := got[0]
	if !liesIn(s.TakenOver, 13700*time.Millisecond, 14100*time.Millisecond) || !s.ByWeights || s.Lost < 230 || s.Lost > 370 { // 600 coins
		t.Errorf("taken over %+v, by weights %t, lost %d", s.TakenOver, s.ByWeights, s.Lost)
	}
	if !liesIn(s.Recovered, 30*time.Second, 30300*time.Millisecond) {
		t.Errorf("recovered %+v", s.Recovered)
	}
}

// One request is lost as the weights come back, and west answers half a second later: the others carried all since
// 14 s, not for that half a second.
func TestTakeoverBeforeALossOnTheWayBack(t *testing.T) {
	shots := story(60*time.Second, func(at time.Duration, coin int) (int, bool) {
		switch {
		case at == 28*time.Second:
			return 0, true
		case at >= 14*time.Second && at < 28500*time.Millisecond:
			return 1, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 14*time.Second
	})
	moved := []Weighted{{0, halves}, {14 * time.Second, Weights{{"west", 0}, {"east", 1}}}, {28 * time.Second, halves}}
	got, err := Silences(shots, moved)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := got[0]; !liesIn(s.TakenOver, 13700*time.Millisecond, 14100*time.Millisecond) || !s.ByWeights {
		t.Errorf("taken over %+v, by weights %t", s.TakenOver, s.ByWeights)
	}
}

// Nobody takes over: half of the requests are lost until west is back. West is away from 10 to 20 s, the weights are
// 0/1 from 14 to 25 s; then east is, from 40 s on, the weights 1/0 from 44 s to the end. What the second silence did
// to the shares is no reason to say of the first that the split never came back.
func TestEachOfTwoSilencesComesBack(t *testing.T) {
	shots := story(60*time.Second, func(at time.Duration, coin int) (int, bool) {
		switch {
		case at >= 14*time.Second && at < 25*time.Second:
			return 1, false
		case at >= 44*time.Second:
			return 0, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 20*time.Second || coin == 1 && at >= 40*time.Second
	})
	moved := []Weighted{
		{0, halves},
		{14 * time.Second, Weights{{"west", 0}, {"east", 1}}},
		{25 * time.Second, halves},
		{44 * time.Second, Weights{{"west", 1}, {"east", 0}}},
	}
	got, err := Silences(shots, moved)
	if err != nil || len(got) != 2 || got[0].Backend != 0 || got[1].Backend != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if !liesIn(got[0].BackToSplit, 24*time.Second, 26*time.Second) {
		t.Errorf("the first came back %+v", got[0].BackToSplit)
	}
	if got[1].BackToSplit != nil || got[1].Recovered != nil {
		t.Errorf("the second is back: %+v", got[1])
	}
}

func TestSilenceThatNobodyEnds(t *testing.T) {
	shots := story(40*time.Second, func(at time.Duration, coin int) (int, bool) {
		return coin, coin == 0 && at >= 10*time.Second && at < 30*time.Second
	})
	got, err := Silences(shots, []Weighted{{0, halves}})
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := got[0]; s.TakenOver != nil || s.ByWeights || !liesIn(s.Recovered, 30*time.Second, 30300*time.Millisecond) || s.Lost < 880 || s.Lost > 1120 {
		t.Errorf("%+v", s)
	}
}

// The proxy takes over by itself after 3 s, as Linkerd's does in fail-fast, while the weights stay.
func TestSilenceThatTheProxyEnds(t *testing.T) {
	shots := story(40*time.Second, func(at time.Duration, coin int) (int, bool) {
		switch {
		case at < 10*time.Second || at >= 30*time.Second:
			return coin, false
		case at < 13*time.Second:
			return coin, coin == 0
		}
		return 1, false
	})
	got, err := Silences(shots, []Weighted{{0, halves}})
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := got[0]; s.ByWeights || !liesIn(s.TakenOver, 12700*time.Millisecond, 13*time.Second) || !liesIn(s.Recovered, 30*time.Second, 30300*time.Millisecond) {
		t.Errorf("%+v", s)
	}
}

// The API tells of the weights before the proxy follows them: for 1.2 s requests are still drawn for west, which is
// dead. Those that are lost then say nothing of east, which the weights give everything already.
func TestSilenceWhileTheProxyFollows(t *testing.T) {
	shots := story(40*time.Second, func(at time.Duration, coin int) (int, bool) {
		if at >= 14*time.Second && at < 30*time.Second {
			return 1, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 14*time.Second
	})
	told := []Weighted{{0, halves}, {12800 * time.Millisecond, Weights{{"west", 0}, {"east", 1}}}, {30 * time.Second, halves}}
	got, err := Silences(shots, told)
	if err != nil || len(got) != 1 || got[0].Backend != 0 || !got[0].ByWeights {
		t.Errorf("%+v, %v", got, err)
	}
}

// One lost request of a side that carries all is no silence.
func TestNoSilenceOfASideThatCarriesAll(t *testing.T) {
	shots := story(20*time.Second, func(at time.Duration, _ int) (int, bool) { return 1, at%(5*time.Second) == time.Second })
	if got, err := Silences(shots, []Weighted{{0, Weights{{"west", 0}, {"east", 1}}}}); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Requests for a dead side may wait until it is back and be answered all at once then. They say nothing of the split
// that it comes back to, and must not hide it.
func TestBackToTheSplitBehindRequestsThatWaited(t *testing.T) {
	back := 20 * time.Second
	shots := story(40*time.Second, func(at time.Duration, coin int) (int, bool) {
		return coin, coin == 0 && at >= 10*time.Second && at < 13*time.Second
	})
	for i, s := range shots {
		if s.Backend == 0 && s.Sent >= 13*time.Second && s.Sent < back {
			shots[i].Done = back + 10*time.Millisecond
		}
	}
	got, err := Silences(shots, []Weighted{{0, halves}})
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := got[0]; s.Waited < 280 || s.Waited > 380 || s.LongestWait < 6500*time.Millisecond || s.LongestWait > 7010*time.Millisecond { // of 700 coins, less those of the last 0.5 s
		t.Errorf("%d waited, %s at most", s.Waited, s.LongestWait)
	}
	if s := got[0]; !liesIn(s.Recovered, back, back+100*time.Millisecond) || !liesIn(s.BackToSplit, back, back+500*time.Millisecond) {
		t.Errorf("recovered %+v, back to the split %+v", s.Recovered, s.BackToSplit)
	}
}

// The weights go to east while west is dead, and the last requests that were drawn for west wait until it is back:
// east took over all the same, when the last of them was sent.
func TestTakeoverBehindRequestsThatWaited(t *testing.T) {
	shots := story(40*time.Second, func(at time.Duration, coin int) (int, bool) {
		if at >= 14*time.Second && at < 30*time.Second {
			return 1, false
		}
		return coin, coin == 0 && at >= 10*time.Second && at < 13500*time.Millisecond
	})
	for i, s := range shots {
		if s.Backend == 0 && s.Sent >= 13500*time.Millisecond && s.Sent < 14*time.Second {
			shots[i].Done = 25 * time.Second
		}
	}
	told := []Weighted{{0, halves}, {13900 * time.Millisecond, Weights{{"west", 0}, {"east", 1}}}, {30 * time.Second, halves}}
	got, err := Silences(shots, told)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	s := got[0]
	if s.Backend != 0 || !s.ByWeights || !liesIn(s.TakenOver, 13700*time.Millisecond, 14100*time.Millisecond) {
		t.Errorf("by weights %t, taken over %+v", s.ByWeights, s.TakenOver)
	}
	if !liesIn(s.Recovered, 25*time.Second, 25*time.Second) || !liesIn(s.BackToSplit, 29900*time.Millisecond, 30500*time.Millisecond) || s.Waited == 0 {
		t.Errorf("recovered %+v, back to the split %+v, %d waited", s.Recovered, s.BackToSplit, s.Waited)
	}
}

// A backend that always takes a second is slow and not silent.
func TestNoSilenceOfASlowSide(t *testing.T) {
	shots := story(30*time.Second, func(_ time.Duration, coin int) (int, bool) { return coin, false })
	for i, s := range shots {
		if s.Backend == 0 {
			shots[i].Done = s.Sent + time.Second
		}
	}
	if got, err := Silences(shots, []Weighted{{0, halves}}); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNoSilence(t *testing.T) {
	fair := story(60*time.Second, func(_ time.Duration, coin int) (int, bool) { return coin, false })
	// The longest run of 6,000 fair coins reaches 20 with probability 6,000/2^20: a silence is longer than that, as one in
	// a million asks for. This seed has none.
	if got, err := Silences(fair, []Weighted{{0, halves}}); err != nil || len(got) != 0 {
		t.Errorf("fair coins: %+v, %v", got, err)
	}
	planned := story(60*time.Second, func(at time.Duration, coin int) (int, bool) {
		if at >= 20*time.Second && at < 40*time.Second {
			return 1, false
		}
		return coin, false
	})
	moved := []Weighted{{0, halves}, {20 * time.Second, Weights{{"west", 0}, {"east", 1}}}, {40 * time.Second, halves}}
	if got, err := Silences(planned, moved); err != nil || len(got) != 0 {
		t.Errorf("a change of weights is no silence: %+v, %v", got, err)
	}
	if o := Outage(fair, time.Second); o != (Bounded{}) {
		t.Errorf("outage %+v", o)
	}
	if got, err := Silences(nil, []Weighted{{0, halves}}); err != nil || len(got) != 0 {
		t.Errorf("no requests: %+v, %v", got, err)
	}
	if _, err := Silences(fair, nil); !errors.Is(err, ErrInput) {
		t.Errorf("no weights: %v", err)
	}
	if _, err := Silences([]Shot{{Sent: 2}, {Sent: 1}}, []Weighted{{0, halves}}); !errors.Is(err, ErrInput) {
		t.Errorf("out of order: %v", err)
	}
}

// A side that never comes back is a silence to the end.
func TestSilenceToTheEnd(t *testing.T) {
	shots := story(20*time.Second, func(at time.Duration, coin int) (int, bool) { return coin, coin == 1 && at >= 10*time.Second })
	got, err := Silences(shots, []Weighted{{0, halves}})
	if err != nil || len(got) != 1 || got[0].Backend != 1 || got[0].Recovered != nil || got[0].BackToSplit != nil || got[0].TakenOver != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
