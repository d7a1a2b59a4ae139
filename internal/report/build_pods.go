package report

// NewSourcePod works out the shares of counts, which are aligned to names.
func NewSourcePod(p SourcePod, names []string, counts []int64) SourcePod {
	var known int64
	for _, n := range counts {
		known += n
	}
	for i, name := range names {
		s := PodShare{Name: name, Observed: counts[i]}
		if known > 0 {
			s.ObservedShare = finite(float64(counts[i]) / float64(known))
		}
		p.Backends = append(p.Backends, s)
	}
	p.Requests = known + p.Unattributed
	return p
}
