package attack

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Search looks for the highest rate that keeps given limits: it raises the rate until one is not kept, and then halves
// the gap. Where the first rate does not keep them there is nothing to look for. It is pure logic around a measurement
// that its caller makes.
type Search struct {
	From, To float64 // requests per second; the first rate that is tried, and the ceiling
	Within   float64 // it ends when the gap is at most this share of the best rate; 0: DefaultSearchWithin
	Trials   int     // at most; 0: DefaultSearchTrials

	ErrorShare   float64       // that requests may fail; 0: none
	ResponseTime time.Duration // that their p99 may reach; 0: any
}

// Defaults of a Search.
const (
	DefaultSearchWithin = 0.05
	DefaultSearchTrials = 20
)

// Trial is what one rate came to.
type Trial struct {
	Rate       float64       // requests per second, asked for
	Reached    float64       // sent
	ErrorShare float64       // of requests
	P99        time.Duration // of response times
	Late       []string      // see ClientLimits; nil: on time
	Failures   string        // what failed, and how often
	OK         bool          // all limits were kept
	Why        string        // which was not
}

// Found is a search's result.
type Found struct {
	Best   float64 // highest rate that kept the limits; 0: none did
	Fail   float64 // lowest rate that did not, above Best; 0: none
	Why    string  // why the search ended
	Trials []Trial

	broken string // which limit was not kept at Fail
}

// Validate says, in one sentence, why there is nothing to search.
func (s Search) Validate() error {
	switch {
	case !(s.From > 0) || !(s.To >= s.From) || s.To > maxPerSecond:
		return fmt.Errorf("search: from %g/s to %g/s: want rates above 0, the smaller first, up to %d/s",
			s.From, s.To, maxPerSecond)
	case !(s.ErrorShare >= 0 && s.ErrorShare < 1):
		return fmt.Errorf("search: error share %g: want 0 to below 1", s.ErrorShare)
	case s.ResponseTime < 0 || s.Trials < 0 || !(s.Within >= 0 && s.Within < 1):
		return fmt.Errorf("search: want limits of 0 or above, and a gap below 1")
	}
	return nil
}

// Run carries the search out. measure attacks at one rate and says what came of it; its error ends the search.
func (s Search) Run(
	ctx context.Context, measure func(ctx context.Context, rate float64) (Trial, error),
) (Found, error) {
	if err := s.Validate(); err != nil {
		return Found{}, err
	}
	s.Within, s.Trials = cmp.Or(s.Within, DefaultSearchWithin), cmp.Or(s.Trials, DefaultSearchTrials)
	var f Found
	for rate := s.From; ; {
		t, err := measure(ctx, rate)
		if err != nil {
			return f, err
		}
		t.Rate = rate
		t.Why = s.broken(t)
		t.OK = t.Why == ""
		f.Trials = append(f.Trials, t)
		if t.OK {
			f.Best = rate
		} else {
			f.Fail, f.broken = rate, t.Why
		}
		switch {
		case f.Fail == 0 && rate >= s.To:
			f.Why = fmt.Sprintf("%g/s is as far as it was to go", s.To)
			return f, nil
		case f.Fail > 0 && f.Best > 0 && f.Fail-f.Best <= s.Within*f.Best:
			f.Why = fmt.Sprintf("at %.4g/s, %s", f.Fail, f.broken)
			return f, nil
		case f.Best == 0:
			f.Why = fmt.Sprintf("even at %.4g/s, %s", f.Fail, f.broken)
			return f, nil
		case len(f.Trials) == s.Trials:
			f.Why = fmt.Sprintf("after %d trials", s.Trials)
			return f, nil
		}
		rate = s.next(f)
	}
}

// next is the rate to try: twice the best while none failed, then between.
func (s Search) next(f Found) float64 {
	if f.Fail == 0 {
		return min(2*f.Best, s.To)
	}
	return (f.Best + f.Fail) / 2
}

// broken says which limit a trial did not keep, or nothing. A late generator has not shown that the rate is kept.
func (s Search) broken(t Trial) string {
	const reached = 0.98 // of the rate: what was not sent was not borne
	switch {
	case t.ErrorShare > s.ErrorShare:
		text := fmt.Sprintf("%.3g %% of the requests failed", 100*t.ErrorShare)
		if t.Failures != "" {
			text += " (" + t.Failures + ")"
		}
		return text
	case s.ResponseTime > 0 && t.P99 > s.ResponseTime:
		return fmt.Sprintf("1 in 100 responses took longer than %s", rounded(t.P99))
	case len(t.Late) > 0:
		return t.Late[0]
	case t.Reached == 0:
		return "fewer than two requests were sent, which have no rate: each trial must last longer"
	case t.Reached < reached*t.Rate:
		return fmt.Sprintf("only %.4g/s were sent", t.Reached)
	}
	return ""
}
