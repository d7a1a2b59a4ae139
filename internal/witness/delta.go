package witness

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Delta is what the proxy did between two pages of it.
type Delta struct {
	Kind    Kind
	Counter string  // that Draws were read from, in words
	Draws   []int64 // by leaf; nil where no counter says them
	Other   int64   // draws of the root for backends that the split does not have
	Streams []int64 // connections by leaf that the proxy drew without looking into them; nil: no such counter

	Path      Path           // whose rules requests for the root took; PathUnknown where no counter tells
	Paths     map[Path]int64 // requests by it
	Retries   int64          // requests that were drawn again
	Restarted string         // why the proxy is known not to have been the same all the time; "": it was, or nothing tells
	GateShut  []int64        // times that a leaf's balancer stopped taking requests
	InFail    []bool         // of a leaf: it took none at the beginning or at the end
	Unready   []bool         // of a leaf: it had no ready endpoint at the beginning or at the end
	Blurred   string         // what the counters cannot tell apart, one sentence; "": nothing
}

// Counters that draws are read from.
const (
	counterQueue  = "requests handed to each backend's balancer (outbound_http_balancer_queue_requests_total)"
	counterRoute  = "requests by the route's backend (outbound_http_route_backend_requests_total)"
	counterLegacy = "requests to endpoints of each backend (request_total)"
	counterEnvoy  = "requests that each cluster took or refused (upstream_rq_total and its like)"
)

// uptimeSlack is how late Envoy may renew its uptime: it does so every five seconds.
const uptimeSlack = 7 * time.Second

// Compare says what happened between two pages of one proxy, the second read elapsed after the first. A counter that
// only the later page has began at zero. Errors: ErrNoCounters where neither page has a counter of the target.
func Compare(before, after Page, t Target, elapsed time.Duration) (Delta, error) {
	d := Delta{
		Kind: after.Kind, Paths: map[Path]int64{}, GateShut: make([]int64, len(t.Leaves)),
		InFail: make([]bool, len(t.Leaves)), Unready: make([]bool, len(t.Leaves)),
	}
	d.Restarted = restarted(before, after, elapsed)
	if d.Restarted == "" && shrank(before, after) {
		d.Restarted = "its counters went back to zero"
	}
	for which, n := range after.Paths {
		if diff := since(before.Paths[which], n); diff > 0 && which != pathAttempts {
			d.Paths[which] = diff
		}
	}
	d.Retries = since(before.Retries, after.Retries)
	if attempts := since(before.Paths[pathAttempts], after.Paths[pathAttempts]); attempts > d.Paths[PathProfile] {
		d.Retries += attempts - d.Paths[PathProfile]
	}
	for i := range t.Leaves {
		d.GateShut[i] = since(before.GateShut.Leaves[i], after.GateShut.Leaves[i])
		d.InFail[i] = before.InFail[i] || after.InFail[i]
		d.Unready[i] = before.Ready[i] == Count{0, true} || after.Ready[i] == Count{0, true}
	}
	if before.Streams.known() || after.Streams.known() {
		d.Streams, _ = difference(before.Streams, after.Streams)
	}
	d.Path = pathOf(d)
	d.choose(before, after)
	if d.Draws == nil && d.Streams == nil && len(d.Paths) == 0 {
		return d, ErrNoCounters
	}
	return d, nil
}

// Plus is what two proxies of pods of one workload did together.
func (d Delta) Plus(o Delta) Delta {
	add := func(a, b []int64) []int64 {
		if a == nil || b == nil {
			return append(slices.Clone(a), b...) // nil and nil stay nil
		}
		out := slices.Clone(a)
		for i := range out {
			out[i] += b[i]
		}
		return out
	}
	or := func(a, b []bool) []bool {
		out := slices.Clone(a)
		for i := range out {
			out[i] = out[i] || b[i]
		}
		return out
	}
	d.Draws, d.Streams, d.GateShut = add(d.Draws, o.Draws), add(d.Streams, o.Streams), add(d.GateShut, o.GateShut)
	d.InFail, d.Unready = or(d.InFail, o.InFail), or(d.Unready, o.Unready)
	d.Other, d.Retries = d.Other+o.Other, d.Retries+o.Retries
	d.Paths = maps.Clone(d.Paths)
	for which, n := range o.Paths {
		d.Paths[which] += n
	}
	d.Path = pathOf(d)
	d.Counter, d.Blurred = cmp.Or(d.Counter, o.Counter), cmp.Or(d.Blurred, o.Blurred)
	d.Restarted = cmp.Or(d.Restarted, o.Restarted)
	return d
}

// choose takes the draws from the best counter that moved. The route's own counter also has requests that were drawn
// for a backend that is not there; the balancers' has all versions of both paths; the oldest cannot tell who a request
// was for.
func (d *Delta) choose(before, after Page) {
	still := false // a counter that did not move is taken where no other did
	take := func(counter string, b, a Counts) bool {
		draws, other := difference(b, a)
		if !a.known() || sum(draws)+other == 0 && !still {
			return false
		}
		d.Draws, d.Other, d.Counter = draws, other, counter
		return true
	}
	if after.Kind == Envoy {
		still = true
		take(counterEnvoy, before.Queue, after.Queue)
		replies, _ := difference(before.Replies, after.Replies)
		if after.Replies.known() && sum(replies) == 0 && sum(d.Draws) > 0 {
			// A TCP proxy: each connection counts as one request that nobody answers.
			d.Streams, d.Draws, d.Counter, d.Path = d.Draws, nil, "", PathConnections
		}
		d.Blurred = "Envoy counts by cluster: requests that reached a backend by another route are counted too"
		return
	}
	routed := d.Path == PathHTTPRoute || d.Path == PathGRPCRoute
	switch {
	case routed && take(counterRoute, before.Route, after.Route):
		return
	case take(counterQueue, before.Queue, after.Queue), take(counterRoute, before.Route, after.Route):
		return
	case !after.Queue.known() && take(counterLegacy, before.Legacy, after.Legacy):
		d.Blurred = "the proxy is old: its counters do not tell requests that were drawn for a backend from those to the " +
			"backend's own Service"
		return
	}
	if still = sum(d.Streams) == 0; still {
		take(counterQueue, before.Queue, after.Queue)
	}
}

// pathOf is the path that most requests took.
func pathOf(d Delta) Path {
	best := PathUnknown
	for _, p := range []Path{PathProfile, PathHTTPRoute, PathGRPCRoute, PathDefault} {
		if d.Paths[p] > d.Paths[best] {
			best = p
		}
	}
	if best == PathUnknown && (d.Paths[PathConnections] > 0 || sum(d.Streams) > 0) {
		return PathConnections
	}
	return best
}

// PerConnection reports that the proxy drew a backend for each connection and did not look at requests.
func (d Delta) PerConnection() bool {
	return sum(d.Draws)+d.Other == 0 && sum(d.Streams) > 0
}

// since is the growth of a counter. One that went back has begun anew: what it shows is since then.
func since(before, after Count) int64 {
	if after.N < before.N {
		return max(0, after.N)
	}
	return after.N - before.N
}

func difference(before, after Counts) ([]int64, int64) {
	out := make([]int64, len(after.Leaves))
	for i := range out {
		out[i] = since(before.Leaves[i], after.Leaves[i])
	}
	return out, since(before.Other, after.Other)
}

// shrank reports a counter that went back while it is still there. One that is not there any more has expired.
func shrank(before, after Page) bool {
	for _, pair := range [][2]Counts{
		{before.Queue, after.Queue},
		{before.Route, after.Route},
		{before.Streams, after.Streams},
	} {
		for i, b := range pair[0].Leaves {
			if a := pair[1].Leaves[i]; a.Known && b.Known && a.N < b.N {
				return true
			}
		}
	}
	return false
}

func restarted(before, after Page, elapsed time.Duration) string {
	const startSlack = 0.5 // seconds, where the instant is worked out anew for each page
	if b, a := before.Started, after.Started; b > 0 && a > 0 && math.Abs(a-b) > startSlack {
		return fmt.Sprintf("it was started at %s, before the burst at %s", clock(a), clock(b))
	}
	if b, a := before.Uptime, after.Uptime; b.Known && a.Known &&
		(a.N < b.N || float64(b.N)+elapsed.Seconds() > float64(a.N)+uptimeSlack.Seconds()) {
		return fmt.Sprintf("it had been up for %d s before the burst and %d s after it", b.N, a.N)
	}
	return ""
}

func clock(unix float64) string { return time.Unix(int64(unix), 0).UTC().Format(time.RFC3339) }

func sum(ns []int64) (total int64) {
	for _, n := range ns {
		if total += n; total < 0 {
			return 1<<63 - 1
		}
	}
	return total
}
