package witness

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// Delta is what the proxy did between two pages of it.
type Delta struct {
	Kind    Kind
	Counter string  // that Draws were read from, in words
	Draws   []int64 // by leaf; nil where no counter says them
	Other   int64   // draws of the root for backends that the split does not have
	Streams []int64 // connections by leaf that the proxy drew without looking into them; nil: no such counter
	Direct  []int64 // requests and connections to a leaf's own Service, which are no draws; nil: not told apart

	Path      law.Path           // whose rules requests for the root took; "" where no counter tells
	Paths     map[law.Path]int64 // requests by it
	Streamed  map[law.Path]int64 // connections that the proxy did not look into by it
	Retries   int64              // requests that were drawn again
	Restarted string             // why the proxy was not the same all the time; "": it was, or nothing tells
	GateShut  []int64            // times that a leaf's balancer stopped taking requests
	InFail    []bool             // of a leaf: it took none at the beginning or at the end
	Unready   []bool             // of a leaf: it had no ready endpoint at the beginning or at the end
	Blurred   string             // what the counters cannot tell apart, one sentence; "": nothing
	// Unsure is why the counters do not tell what was drawn although they are there: Draws, Streams and Paths are then
	// empty, and nothing is held against anybody.
	Unsure string
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
		Kind: after.Kind, Paths: map[law.Path]int64{}, Streamed: map[law.Path]int64{}, GateShut: make([]int64, len(t.Leaves)),
		InFail: make([]bool, len(t.Leaves)), Unready: make([]bool, len(t.Leaves)),
	}
	var sameProxy bool
	d.Restarted, sameProxy = restarted(before, after, elapsed)
	back, gone := wentBack(before, after)
	switch {
	case d.Restarted != "":
	case back && !sameProxy:
		d.Restarted = "its counters went back to zero"
	case back:
		d.Unsure = "a counter went back although the proxy was not restarted"
	case gone:
		d.Unsure = "a counter is not there any more"
	}
	for i := range t.Leaves {
		d.GateShut[i] = since(before.GateShut.Leaves[i], after.GateShut.Leaves[i])
		d.InFail[i] = before.InFail[i] || after.InFail[i]
		d.Unready[i] = before.Ready[i] == Count{0, true} || after.Ready[i] == Count{0, true}
	}
	d.Unsure = cmp.Or(d.Unsure, after.unsure())
	if d.Unsure != "" {
		return d, nil
	}
	takePaths(d.Paths, before.Paths, after.Paths)
	takePaths(d.Streamed, before.StreamPaths, after.StreamPaths)
	d.Retries = since(before.Retries, after.Retries) + retriedByProfile(before.Paths, after.Paths)
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

// unsure says why a page does not tell what its proxy drew.
func (p Page) unsure() string {
	switch {
	case p.Unclear > 0:
		return fmt.Sprintf("%d of its counters lack the labels that tell whose requests they count", p.Unclear)
	case p.Skipped > 0:
		return fmt.Sprintf("%d lines of its page could not be read", p.Skipped)
	case p.Doubled > 0:
		return fmt.Sprintf("%d of its counters are on the page more than once", p.Doubled)
	}
	return ""
}

func takePaths(into map[law.Path]int64, before, after map[law.Path]Count) {
	for which, n := range after {
		if diff := since(before[which], n); diff > 0 && which != pathAttempts {
			into[which] = diff
		}
	}
}

// retriedByProfile are the attempts of a ServiceProfile's path above its requests.
func retriedByProfile(before, after map[law.Path]Count) int64 {
	if !after[law.PathServiceProfile].Known || !after[pathAttempts].Known {
		return 0
	}
	taken := since(before[law.PathServiceProfile], after[law.PathServiceProfile])
	return max(0, since(before[pathAttempts], after[pathAttempts])-taken)
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
	d.Direct = add(d.Direct, o.Direct)
	d.InFail, d.Unready = or(d.InFail, o.InFail), or(d.Unready, o.Unready)
	d.Other, d.Retries = d.Other+o.Other, d.Retries+o.Retries
	d.Paths, d.Streamed = maps.Clone(d.Paths), maps.Clone(d.Streamed)
	for which, n := range o.Paths {
		d.Paths[which] += n
	}
	for which, n := range o.Streamed {
		d.Streamed[which] += n
	}
	d.Path = pathOf(d)
	d.Counter, d.Blurred = cmp.Or(d.Counter, o.Counter), cmp.Or(d.Blurred, o.Blurred)
	d.Restarted, d.Unsure = cmp.Or(d.Restarted, o.Restarted), cmp.Or(d.Unsure, o.Unsure)
	if d.Unsure != "" {
		d.Draws, d.Streams, d.Direct, d.Other, d.Retries = nil, nil, nil, 0, 0
		clear(d.Paths)
		clear(d.Streamed)
	}
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
	if after.Modern {
		for i, n := range after.Direct {
			d.Direct = append(d.Direct, since(before.Direct[i], n))
		}
	}
	routed := d.Path == law.PathHTTPRoute || d.Path == law.PathGRPCRoute
	switch {
	case routed && take(counterRoute, before.Route, after.Route):
		return
	case take(counterQueue, before.Queue, after.Queue), take(counterRoute, before.Route, after.Route):
		return
	case !after.Modern && take(counterLegacy, before.Legacy, after.Legacy):
		d.lessOwn(before, after)
		return
	}
	if still = sum(d.Streams) == 0; still {
		take(counterQueue, before.Queue, after.Queue)
	}
}

// lessOwn takes what old proxies count by the name of a backend's own Service out of what they count by its endpoints.
func (d *Delta) lessOwn(before, after Page) {
	for i := range d.Draws {
		if own := since(before.Own[i], after.Own[i]); after.Own[i].Known {
			d.Draws[i] = max(0, d.Draws[i]-own)
		}
		if after.Legacy.Leaves[i].N < before.Legacy.Leaves[i].N {
			d.Unsure = "a counter went back, as those of endpoints do that are gone"
		}
	}
	d.Blurred = "the proxy is old: its counters do not tell requests that were drawn for a backend from those to the " +
		"backend's own Service"
}

// security is how requests to a target cluster were secured, as the label tls says: "true" for mutual TLS.
type security struct{ cluster, how string }

// Bounds of what a page can say of it.
const (
	maxHow      = 64 // bytes
	maxMirrored = 1000
)

// Secured is how requests to the Services that mirrors lead to were secured between two pages, by target cluster:
// "true" only where all of them were.
func Secured(before, after Page) map[string]string {
	out := map[string]string{}
	for key, n := range after.Mirrored {
		if since(before.Mirrored[key], n) > 0 && (out[key.cluster] == "" || out[key.cluster] == "true") {
			out[key.cluster] = key.how
		}
	}
	return out
}

// pathOf is the path that most requests took.
func pathOf(d Delta) law.Path {
	best := law.Path("")
	for _, p := range []law.Path{law.PathServiceProfile, law.PathHTTPRoute, law.PathGRPCRoute, law.PathDefault} {
		if d.Paths[p] > d.Paths[best] {
			best = p
		}
	}
	if best == "" && (d.Paths[PathConnections] > 0 || sum(d.Streams) > 0) {
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

// wentBack reports a counter of the root that went back, and one that is not there any more.
func wentBack(before, after Page) (back, gone bool) {
	look := func(b, a Count) {
		back = back || a.Known && b.Known && a.N < b.N
		gone = gone || b.N > 0 && !a.Known
	}
	for _, pair := range [][2]Counts{
		{before.Queue, after.Queue},
		{before.Route, after.Route},
		{before.Streams, after.Streams},
	} {
		for i, b := range pair[0].Leaves {
			look(b, pair[1].Leaves[i])
		}
	}
	for _, path := range []law.Path{law.PathServiceProfile, pathAttempts} {
		if a, b := after.Paths[path], before.Paths[path]; a.Known {
			look(b, a) // one that is gone says no more than that nothing takes this path
		}
	}
	return back, gone
}

// restarted says why the later page is of another process, "" where nothing tells; same: it is known not to be.
func restarted(before, after Page, elapsed time.Duration) (why string, same bool) {
	const startSlack = 0.5 // seconds, where the instant is worked out anew for each page
	slack := uptimeSlack
	if after.Kind == Linkerd {
		slack = 2 * time.Second
	}
	b, a := before.Uptime, after.Uptime
	uptime := b.Known && a.Known
	grown := uptime && a.N >= b.N && float64(b.N)+elapsed.Seconds() <= float64(a.N)+slack.Seconds()
	longer := uptime && float64(a.N) > elapsed.Seconds()+slack.Seconds() // it was up before the burst began
	started := before.Started > 0 && after.Started > 0
	once := started && math.Abs(after.Started-before.Started) <= startSlack
	switch {
	case grown: // also where the clock was set meanwhile, by which the start is dated
		return "", longer || once
	case once:
		return "", true
	case started:
		return fmt.Sprintf("the one that was asked after the burst was started at %s, the one before it at %s",
			clock(after.Started), clock(before.Started)), false
	case uptime:
		return fmt.Sprintf("it had been up for %d s before the burst and %d s after it", b.N, a.N), false
	}
	return "", false
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
