package law

import (
	"fmt"
	"math"
)

// sameShare is how far apart two probabilities may be that are the same: weights are compared, not measured.
const sameShare = 1e-9

// Same reports whether two laws draw alike for clients that dial the port: by the same ruling object, per request or per
// connection, the same Services on the same ports with the same probabilities, or the same answers of the proxy's own.
// Backends of probability 0 do not count, and laws that both have no distribution are the same.
func (l Law) Same(o Law, port int32) bool {
	if l.Problem != "" && o.Problem != "" {
		return true
	}
	if l.Path != o.Path || l.NullModel != o.NullModel || (l.Problem == "") != (o.Problem == "") || !l.sameRuler(o) {
		return false
	}
	a, b := l.draws(port), o.draws(port)
	for key, p := range a {
		if math.Abs(p-b[key]) > sameShare {
			return false
		}
		delete(b, key)
	}
	return len(b) == 0
}

// sameRuler compares the objects that rule, as far as both laws name one.
func (l Law) sameRuler(o Law) bool {
	if len(l.Objects) == 0 || len(o.Objects) == 0 {
		return true
	}
	a, b := l.Objects[0], o.Objects[0]
	return a.Kind == b.Kind && a.Group() == b.Group() && a.Namespace == b.Namespace && a.Name == b.Name
}

// draws are the probabilities of what can be drawn, by what it is.
func (l Law) draws(port int32) map[string]float64 {
	out := map[string]float64{}
	for _, b := range l.Backends {
		at := b.Port
		if at == 0 {
			at = port
		}
		key := fmt.Sprintf("%s/%s/%s:%d", b.Namespace, b.Service, b.Subset, at)
		if b.Status != 0 {
			key = fmt.Sprint(b.Status)
		}
		if b.Probability > 0 {
			out[key] += b.Probability
		}
	}
	return out
}
