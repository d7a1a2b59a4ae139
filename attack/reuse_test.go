package attack

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// used counts the requests of each connection.
func used(rs []Result) map[int32]int {
	n := map[int32]int{}
	for _, r := range rs {
		n[r.Conn]++
	}
	return n
}

func TestReuse(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	attack := func(t *testing.T, r *Reuse, connections int) ([]Result, int64) {
		t.Helper()
		p := fastPlan(srv.URL, 200)
		p.Reuse, p.Connections = r, connections
		e := newTestH1(t, connections)
		rs, err := collect(t, e, t.Context(), p)
		if err != nil || len(rs) != 200 {
			t.Fatalf("%d results, %v", len(rs), err)
		}
		for _, r := range rs {
			if r.Status != 200 {
				t.Fatalf("got %+v", r)
			}
		}
		return rs, e.Dialled()
	}
	t.Run("a new one for each request", func(t *testing.T) {
		rs, dialled := attack(t, &Reuse{MaxRequests: 1}, 8)
		if len(used(rs)) != 200 || dialled != 200 {
			t.Errorf("%d connections carried requests, %d were dialled", len(used(rs)), dialled)
		}
	})
	t.Run("a fixed number", func(t *testing.T) {
		rs, dialled := attack(t, &Reuse{MinRequests: 10, MaxRequests: 10}, 1)
		if dialled != 20 {
			t.Errorf("%d were dialled", dialled)
		}
		for c, n := range used(rs) {
			if n != 10 {
				t.Errorf("connection %d carried %d", c, n)
			}
		}
	})
	t.Run("a range, by its seed", func(t *testing.T) {
		a, _ := attack(t, &Reuse{MinRequests: 2, MaxRequests: 6, Seed: 5}, 1)
		b, _ := attack(t, &Reuse{MinRequests: 2, MaxRequests: 6, Seed: 5}, 1)
		seen := map[int]bool{}
		for c, n := range used(a) {
			if seen[n] = true; used(b)[c] != n {
				t.Errorf("connection %d carried %d, and %d the second time", c, n, used(b)[c])
			}
			if last := int(c) == len(used(a))-1; n > 6 || n < 2 && !last {
				t.Errorf("connection %d carried %d", c, n)
			}
		}
		if len(seen) < 3 {
			t.Errorf("drawn were only %v", seen)
		}
	})
	t.Run("an age", func(t *testing.T) {
		_, dialled := attack(t, &Reuse{MaxAge: 20 * time.Millisecond}, 1)
		if dialled < 3 || dialled > 11 { // 200 ms
			t.Errorf("%d were dialled", dialled)
		}
	})
}
