package analyze

import (
	"math"
	"slices"
)

// Impact is what a diagnostic may do to an outcome: never improve it.
type Impact string

// The impacts.
const (
	Keep      Impact = "keep"      // nothing was found
	Qualify   Impact = "qualify"   // the outcome stands; the report says what was found
	Downgrade Impact = "downgrade" // the outcome holds only if fewer requests still carry it, or not at all
)

// Names of the diagnostics.
const (
	DiagnosticSticky      = "sticky"         // neighbours go to the same backend too often
	DiagnosticAlternating = "alternating"    // neighbours differ too often
	DiagnosticPeriodic    = "autocorrelated" // dependence at some lag
	DiagnosticEven        = "too-even"       // windows vary less than chance
	DiagnosticConnections = "connections"    // connections differ: pinned
	DiagnosticTime        = "time"           // windows of time differ
	DiagnosticPods        = "source-pods"    // source pods differ
	DiagnosticRuns        = "runs"           // runs that are judged together differ
	DiagnosticErrors      = "error-rate"     // error rates differ by backend
)

// Diagnostic is one check of what the verdict takes for granted. What was found is given as numbers, of which those are
// set that the check knows.
type Diagnostic struct {
	Name      string
	OK        bool   // true: nothing was found at the level
	P         PValue // of this check alone
	AdjustedP PValue // Holm over all checks made
	Impact    Impact // Keep where OK

	Backend            string  // that fails most, or that answered every request
	Share              float64 // of its answers that are errors
	Runs, ExpectedRuns int64   // requests in a row with the same backend
	Lag                int     // most requests back that a request may depend on
	Period             int     // requests after which where they go repeats; 0: no turn of the weights was seen
	Connections        int     // that carried the requests
	Requests           int64   // examined
	Independent        int64   // requests that tell as much as those; 0: not known
	ChangeAt           int     // requests before the largest change

	Least, Most Part // of DiagnosticRuns: the runs that are furthest apart
}

// Part is one of the parts that requests came in, and the share of a backend there.
type Part struct {
	Name  string
	Share float64 // 0 to 1
}

// Diagnostics are all checks that the observations allowed.
type Diagnostics struct {
	Items        []Diagnostic
	DesignEffect float64 // how many requests of a connection count as one, at least 1; only where flagged
	FewClusters  bool    // flagged connections, fewer than 20 of them
	// Drawn is true where connections rule out that few draws decided many requests: every request had a connection of its
	// own, or connections were compared and do not differ.
	Drawn  bool
	Change Change // where the split changed, if Time was flagged; Categorised 0 otherwise
}

// DiagnoseOptions fix the checks.
type DiagnoseOptions struct {
	Alpha   float64 // level of all checks together; 0: 0.001, the custom of sample-ratio checks
	Windows int     // most windows of time; 0: 20
}

// Diagnose checks what the decision takes for granted: that requests are drawn one by one, at random, with the same
// shares all the time and from every source, and that no backend loses its answers. p-values are adjusted by Holm
// over all checks made, so that a clean run is flagged with probability Alpha at most (the reference laws are
// asymptotic). Observations may come in any order; with concurrent requests the order at the proxy is permuted, which
// costs the checks of neighbours power but makes no false alarm. Errors wrap ErrInput.
func Diagnose(observations []Observation, w Weights, o DiagnoseOptions) (Diagnostics, error) {
	if err := w.Validate(); err != nil {
		return Diagnostics{}, err
	}
	if o.Alpha == 0 {
		o.Alpha = 0.001
	}
	if o.Windows == 0 {
		o.Windows = 20
	}
	if !(o.Alpha > 0 && o.Alpha < 0.5) || o.Windows < 2 {
		return Diagnostics{}, inputErrorf("diagnostics: alpha %v or %d windows out of range", o.Alpha, o.Windows)
	}
	e := newExamination(inOrder(observations), w, o)
	// The order is that of the reasons: what points at a cause comes before what only says that there is one.
	if err := e.groups(); err != nil {
		return Diagnostics{}, err
	}
	e.neighbours()
	e.errorRates()
	return e.conclude(), nil
}

// examination is the working state of Diagnose.
type examination struct {
	w      Weights
	o      DiagnoseOptions
	all    []Observation
	seq    []int   // backends of the attributed requests, in order
	seen   Weights // their counts as weights: a check of sameness must not depend on the declared ones
	out    Diagnostics
	effect float64 // design effect of the connections, and whether they are few
	few    bool
}

func newExamination(all []Observation, w Weights, o DiagnoseOptions) *examination {
	e := &examination{w: w, o: o, seen: slices.Clone(w)}
	for i := range e.seen {
		e.seen[i].W = 0
	}
	for _, x := range all {
		if x.Backend >= 0 && x.Backend < len(w) {
			e.all = append(e.all, x)
			e.seq = append(e.seq, x.Backend)
			e.seen[x.Backend].W++
		}
	}
	e.out.DesignEffect = 1
	return e
}

func (e *examination) add(d Diagnostic) {
	d.Requests = int64(len(e.seq))
	e.out.Items = append(e.out.Items, d)
}

// neighbours checks the order of requests.
func (e *examination) neighbours() {
	k := len(e.w)
	if len(e.seq) < 40 {
		return // the normal law of the number of runs wants some
	}
	runs := Runs(e.seq, k)
	if runs.Var == 0 {
		return
	}
	found := Diagnostic{Runs: runs.Runs, ExpectedRuns: int64(math.Round(runs.Mean))}
	found.Name, found.P, found.Impact = DiagnosticSticky, runs.TooFew, e.dependence()
	e.add(found)
	found.Name, found.P, found.Impact = DiagnosticAlternating, runs.TooMany, Qualify
	e.add(found)
	e.autocorrelation()
}

// Lags of the check of autocorrelation: where connections are unknown, a pattern as long as their number must be seen.
const (
	lagsDrawn   = 20
	lagsUnknown = 100
)

// autocorrelation checks dependence over more than one request.
func (e *examination) autocorrelation() {
	n := len(e.seq)
	lag := min(lagsDrawn, n/5)
	if !e.out.Drawn {
		lag = min(lagsUnknown, n/10)
	}
	period := e.period()
	if period > lag && period < n/5 && period <= 2*lagsUnknown {
		lag = period
	}
	worst := Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	tests := 0
	turns := false
	indicator := make([]bool, n)
	for i := range e.w {
		hits := 0
		for t, x := range e.seq {
			indicator[t] = x == i
			if x == i {
				hits++
			}
		}
		// A rare backend makes the chi-square law of the statistic wrong: a few expected pairs are the least.
		if rare := float64(min(hits, n-hits)); rare*rare < 5*float64(n) {
			continue
		}
		tests++
		if r := LjungBox(indicator, lag); tests == 1 || r.Asymptotic.LnP < worst.Asymptotic.LnP {
			worst = r
			turns = period <= lag && agreement(indicator, period) > 0.95
		}
	}
	if tests == 0 {
		return
	}
	if len(e.w) > 2 {
		worst.Asymptotic = worst.Asymptotic.scaled(float64(tests))
	}
	found := Diagnostic{Name: DiagnosticPeriodic, P: worst.Asymptotic, Impact: e.dependence(), Lag: lag}
	if turns {
		found.Impact, found.Period = Qualify, period
	}
	e.add(found)
}

// dependence is what dependence between requests does to an outcome: where connections show that requests are drawn
// one by one, the shares stand.
func (e *examination) dependence() Impact {
	if e.out.Drawn {
		return Qualify
	}
	return Downgrade
}

// agreement is the share of requests that go where the one a period earlier went.
func agreement(series []bool, period int) float64 {
	same := 0
	for i := period; i < len(series); i++ {
		if series[i] == series[i-period] {
			same++
		}
	}
	return float64(same) / float64(max(1, len(series)-period))
}

// period is the length of one turn of a weighted round robin with these weights.
func (e *examination) period() int {
	var sum int64
	for _, x := range e.w.reduced() {
		if sum += x; sum > math.MaxInt32 {
			return math.MaxInt32
		}
	}
	return int(sum)
}

// errorRates compares the share of errors between backends.
func (e *examination) errorRates() {
	table := make([][]int64, len(e.w))
	for i := range table {
		table[i] = make([]int64, 2)
	}
	for _, x := range e.all {
		if x.OK {
			table[x.Backend][0]++
		} else {
			table[x.Backend][1]++
		}
	}
	s := contingency(table)
	if s.DF == 0 || leastExpected(table) < 1 {
		return
	}
	worst := 0
	rate := func(i int) float64 {
		if n := table[i][0] + table[i][1]; n > 0 {
			return float64(table[i][1]) / float64(n)
		}
		return 0
	}
	for i := range table {
		if rate(i) > rate(worst) {
			worst = i
		}
	}
	e.add(Diagnostic{
		Name: DiagnosticErrors, P: s.Asymptotic, Impact: Qualify, Backend: e.w[worst].Backend, Share: rate(worst),
	})
}

// conclude adjusts for multiplicity and settles what was found.
func (e *examination) conclude() Diagnostics {
	lnP := make([]float64, len(e.out.Items))
	for i, d := range e.out.Items {
		lnP[i] = d.P.LnP
	}
	adjusted := holmLn(lnP)
	for i := range e.out.Items {
		d := &e.out.Items[i]
		d.AdjustedP = pFromLn(adjusted[i], d.P.Method)
		if d.OK = d.AdjustedP.P > e.o.Alpha; d.OK {
			d.Impact = Keep
			continue
		}
		switch d.Name {
		case DiagnosticConnections:
			e.out.DesignEffect, e.out.FewClusters = math.Max(1, e.effect), e.few
		case DiagnosticTime:
			e.out.Change = Scan(e.seq, len(e.w), 10)
			d.ChangeAt = e.out.Change.At
		}
	}
	return e.out
}
