package analyze

import (
	"maps"
	"math"
	"slices"
)

// groups checks that windows of time, connections and source pods are alike.
func (e *examination) groups() error {
	conns := e.table(func(o Observation) int { return o.Conn })
	switch {
	case len(conns) > 0 && e.seen.Positive() == 1:
		e.oneBackend(len(conns))
	case len(conns) >= 2:
		e.connections(conns)
	}
	pods := e.table(func(o Observation) int { return o.Pod })
	if len(pods) >= 2 {
		s := contingency(pods)
		if s.DF > 0 && leastExpected(pods) >= 1 {
			e.add(Diagnostic{Name: DiagnosticPods, P: s.Asymptotic, Impact: Downgrade})
		}
	}
	if windows := e.windows(); windows != nil {
		x2, windowsDF, err := Dispersion(windows, e.seen)
		if err != nil {
			return err
		}
		// Against the pooled shares one window's degrees of freedom are spent.
		k := e.seen.Positive()
		if df := float64(windowsDF - (k - 1)); df > 0 {
			even, uneven := ChiSquareLogCDF(x2, df), ChiSquareLogSF(x2, df)
			e.add(Diagnostic{Name: DiagnosticEven, P: pFromLn(even, Asymptotic), Impact: Qualify})
			e.add(Diagnostic{Name: DiagnosticTime, P: pFromLn(uneven, Asymptotic), Impact: Downgrade})
		}
	}
	return nil
}

// windows cuts the run into equal parts in which the rarest observed backend is expected five times at least; nil where
// there would be fewer than two.
func (e *examination) windows() [][]int64 {
	rarest := int64(math.MaxInt64)
	for _, x := range e.seen {
		if x.W > 0 {
			rarest = min(rarest, x.W)
		}
	}
	parts := int(min(int64(e.o.Windows), rarest/5))
	if parts < 2 || e.seen.Positive() < 2 {
		return nil
	}
	out := make([][]int64, parts)
	for t := range out {
		out[t] = make([]int64, len(e.w))
	}
	for i, x := range e.seq {
		out[i*parts/len(e.seq)][x]++
	}
	return out
}

// table counts backends by a group; nil where any request has none.
func (e *examination) table(group func(Observation) int) [][]int64 {
	rows := map[int][]int64{}
	for _, x := range e.all {
		g := group(x)
		if g < 0 {
			return nil
		}
		if rows[g] == nil {
			rows[g] = make([]int64, len(e.w))
		}
		rows[g][x.Backend]++
	}
	out := make([][]int64, 0, len(rows))
	for _, g := range slices.Sorted(maps.Keys(rows)) {
		out = append(out, rows[g])
	}
	return out
}

// connections asks whether connections differ more than independent requests would.
func (e *examination) connections(table [][]int64) {
	if !slices.ContainsFunc(table, func(row []int64) bool { return sumOf(row) > 1 }) {
		e.out.Drawn = true // one request each: nothing to be pinned
		return
	}
	s := contingency(table)
	if s.DF == 0 {
		return
	}
	p := s.Asymptotic
	e.out.Drawn = p.P > e.o.Alpha
	if r, err := ClusterDesign(table, e.seen); err == nil {
		e.effect, e.few = math.Max(1, r.Mean), r.Few
	}
	e.add(Diagnostic{Name: DiagnosticConnections, P: p, Impact: Downgrade})
}

// oneBackend is the case in which nothing can be compared, because every request went to the same backend: a split that
// is wrong, or connections that are all pinned there. Against the declared share the first is as unlikely as it is; the
// outcome stands only if the connections alone, one draw each, carry it.
func (e *examination) oneBackend(connections int) {
	if len(e.seq) == connections {
		e.out.Drawn = true // one request each: nothing to be pinned
		return
	}
	share := e.w.Shares()[e.seq[0]]
	if share == 0 || share == 1 {
		return // a leak stands anyway, and a single backend has nothing to be pinned to
	}
	e.effect = float64(len(e.seq)) / float64(connections)
	e.add(Diagnostic{
		Name: DiagnosticConnections, P: pFromLn(float64(len(e.seq))*math.Log(share), Exact), Impact: Downgrade,
	})
}
