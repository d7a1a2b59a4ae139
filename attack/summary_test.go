package attack

import (
	"math"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	var s Summary
	for i := range 1000 {
		at := time.Duration(i) * time.Millisecond
		r := Result{Seq: uint64(i), Planned: at, Sent: at + 50*time.Microsecond, Done: at + 1050*time.Microsecond, Conn: int32(i % 7), Status: 200, Backend: 1}
		switch {
		case i%100 == 99:
			r.Sent, r.Done = at+20*time.Millisecond, at+25*time.Millisecond
		case i%100 == 98:
			r = Result{Seq: uint64(i), Planned: at, Sent: at, Done: at, Conn: UnknownConn, Err: ErrDropped, Backend: Unattributed}
		case i%100 == 97:
			r.Status = 503
		case i%100 == 96:
			r.Err, r.Status = ErrReset, 0
		}
		s.Add(r)
	}
	if s.Requests != 1000 || s.Sent != 990 || s.Late != 10 || s.Timed() != 980 || s.Failed() != 30 ||
		s.Statuses[200] != 970 || s.Statuses[503] != 10 || s.Errors[ErrDropped] != 10 || s.Errors[ErrReset] != 10 || s.ByRule[1] != 980 {
		t.Errorf("%+v", s)
	}
	near := func(got, want time.Duration) bool { return math.Abs(float64(got)/float64(want)-1) < 0.002 } // three digits
	if !near(s.SendLag(0.5), 50*time.Microsecond) || !near(s.ServiceTime(0.5), time.Millisecond) || !near(s.ResponseTime(1), 25*time.Millisecond) {
		t.Errorf("lag %s, service %s, response at most %s", s.SendLag(0.5), s.ServiceTime(0.5), s.ResponseTime(1))
	}
	// 990 were sent from 50 us on to 999 ms and 20 ms.
	if want := 989 / 1.01895; math.Abs(s.Rate()/want-1) > 1e-6 {
		t.Errorf("rate %g, want %g", s.Rate(), want)
	}
	if n := testing.AllocsPerRun(100, func() { s.Add(Result{Status: 200, Conn: 3, Done: time.Millisecond}) }); n != 0 {
		t.Errorf("%g allocations for each result", n)
	}
}

func TestClientLimits(t *testing.T) {
	ms := time.Millisecond
	for name, tt := range map[string]struct {
		requests, late         uint64
		lag, median, throttled time.Duration
		want                   int
	}{
		"on time":                      {1000, 0, ms, 0, 0, 0},
		"a little late":                {1000, 0, ms + 1, 0, 0, 1},
		"late, but slow is the server": {1000, 0, 5 * ms, 50 * ms, 0, 0},
		"later than a tenth of it":     {1000, 0, 6 * ms, 50 * ms, 0, 1},
		"one in a hundred dropped":     {1000, 10, 0, 0, 0, 0},
		"more than that":               {1000, 11, 0, 0, 0, 1},
		"throttled":                    {1000, 0, 0, 0, ms, 1},
		"all of it":                    {1000, 500, time.Second, 0, ms, 3},
	} {
		if why := ClientLimits(tt.requests, tt.late, tt.lag, tt.median, tt.throttled); len(why) != tt.want {
			t.Errorf("%s: %q", name, why)
		}
	}
}
