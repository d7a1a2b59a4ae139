package analyze

import (
	"math/rand/v2"
	"testing"
)

// A document is the same each time: sums over groups are taken in one order.
func TestEvidenceIsTheSameEachTime(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	order := make([]int, 3000)
	for i := range order {
		order[i] = draw.IntN(3)
	}
	h := newHistory(order, 3)
	group := func(i int) int { return i * 7919 % 211 }
	grouped, told := h.grouped(group)(0, len(h.order)), h.told(0, len(h.order), func(_, i int) int { return group(i) })
	for range 50 {
		if g := h.grouped(group)(0, len(h.order)); g != grouped {
			t.Fatalf("grouped: %v, then %v", grouped, g)
		}
		if x := h.told(0, len(h.order), func(_, i int) int { return group(i) }); x != told {
			t.Fatalf("told: %v, then %v", told, x)
		}
	}
}
