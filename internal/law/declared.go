package law

import "strconv"

// DeclaredWeights are the weights as the split object itself says them, whoever rules; nil where they cannot be used.
func (s Split) DeclaredWeights() Weights {
	if s.Kind != string(PathTrafficSplit) {
		return s.plainWeights()
	}
	var leaves []leafWeight
	for _, d := range s.Declared {
		n, why := parseWeight(d.Raw)
		if why != "" {
			return nil
		}
		leaves = append(leaves, leafWeight{leaf: d.Service, tenThousandth: n})
	}
	w, allZero, err := effective(s.Root, leaves)
	if err != nil || allZero {
		return nil
	}
	return w
}

// plainWeights are those of a kind whose weights are whole numbers.
func (s Split) plainWeights() Weights {
	var out Weights
	for _, d := range s.Declared {
		n, err := strconv.ParseInt(d.Raw, 10, 32)
		if err != nil || n < 0 {
			return nil
		}
		out = append(out, Weight{Service: d.Service, Weight: n})
	}
	return out
}
