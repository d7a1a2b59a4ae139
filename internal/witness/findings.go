package witness

import (
	"fmt"
	"strings"
)

// Effect is what a finding does to a verdict.
type Effect string

// The effects.
const (
	Invalid Effect = "invalid" // what was measured is not what was declared
	Unit    Effect = "unit"    // the verdict has to count something else than answers to requests
	Note    Effect = "note"    // a reader should know
)

// What a verdict can count.
const (
	UnitRequest    = "request"    // answers of the client's requests, each drawn by itself
	UnitConnection = "connection" // connections: all requests of one go to the same backend
	UnitDraw       = "draw"       // draws that the proxy counted itself: it drew again what failed
)

// Finding is one thing that the counters show and the client cannot see.
type Finding struct {
	Code   string // e.g. "stale-path"
	Effect Effect
	Unit   string // of Effect Unit: what is to be counted
	Text   string // one sentence that says why
	Remedy string // what to do; may be empty
}

// Codes of findings.
const (
	CodeRestarted     = "proxy-restarted"
	CodeStalePath     = "stale-path"
	CodeRedistributed = "redistributed"
	CodeForeign       = "foreign-backend"
	CodeRetries       = "retries"
	CodeConnections   = "per-connection"
	CodeDisagree      = "witness-disagrees"
	CodeRefused       = "unready-backend"
)

// Findings says what disturbed the draws. expect is the path that the objects want requests to take, PathUnknown where
// that is not known; sent is how many requests the client sent to the root between the two pages.
func (d Delta) Findings(t Target, expect Path, sent int64) []Finding {
	var out []Finding
	if d.Restarted != "" {
		out = append(out, Finding{
			Code: CodeRestarted, Effect: Invalid, Text: "the proxy of the client pod was not the same all the time: " +
				"" + d.Restarted,
		})
	}
	if f, ok := d.stale(t, expect, sent); ok {
		out = append(out, f)
	}
	for i, l := range t.Leaves {
		if f, ok := d.redistributed(i, l); ok {
			out = append(out, f)
		}
	}
	if d.Other > 0 {
		f := Finding{Code: CodeForeign, Effect: Note, Text: fmt.Sprintf(
			"the proxy drew %d times a backend that this split does not have", d.Other)}
		if sum(d.Draws) < sent {
			f.Effect = Invalid
			f.Text += ", and the others fewer times than requests were sent: it obeys other rules than these"
		}
		out = append(out, f)
	}
	if d.Retries > 0 {
		f := Finding{Code: CodeRetries, Effect: Unit, Unit: UnitDraw, Text: fmt.Sprintf(
			"the proxy drew anew for %d requests that failed, so that answers come from healthy backends more often than they "+
				"are "+
				"drawn: the draws that the proxy counted are judged in place of the answers", d.Retries)}
		if d.Kind == Envoy {
			f.Effect, f.Unit = Note, ""
			f.Text = fmt.Sprintf("the proxy sent %d requests again to the backend that it had drawn for them", d.Retries)
		}
		out = append(out, f)
	}
	if d.PerConnection() {
		out = append(out, Finding{
			Code: CodeConnections, Effect: Unit, Unit: UnitConnection, Text: fmt.Sprintf(
				"the proxy does not look into the connections to this port: it drew a backend for each of %d connections, not "+
					"for each "+
					"request, so connections are judged", sum(d.Streams)),
			Remedy: "for as many draws as requests, send one request on each connection: --requests-per-connection 1",
		})
	}
	return out
}

// stale is the first check of all: whether requests take the path that the objects say. A Linkerd proxy keeps the path
// that it built for an address for as long as somebody uses it.
func (d Delta) stale(t Target, expect Path, sent int64) (Finding, bool) {
	taken := d.Paths[expect]
	if expect == PathUnknown || len(d.Paths) == 0 || taken > 0 && taken >= sent {
		return Finding{}, false
	}
	other := PathUnknown
	for _, p := range []Path{PathProfile, PathHTTPRoute, PathGRPCRoute, PathDefault} {
		if p != expect && d.Paths[p] > d.Paths[other] {
			other = p
		}
	}
	if other == PathUnknown || expect == PathDefault && taken > 0 {
		return Finding{}, false
	}
	text := fmt.Sprintf("the client's proxy still uses the routes that it cached before the %s ruled: %d of its "+
		"requests to %s/%s took ",
		expect, d.Paths[other], t.Namespace, t.Root)
	switch other {
	case PathDefault:
		text += "no object's rules at all"
	default:
		text += "the rules of a " + string(other)
	}
	return Finding{
		Code: CodeStalePath, Effect: Invalid, Text: text + " (linkerd2 issues 11032, 12769 and 14274)",
		Remedy: "restart the client's pods, whose proxies then read the objects anew: kubectl -n " + t.Namespace + " " +
			"rollout restart",
	}, true
}

// redistributed tells a leaf whose weight went to the others. Envoy does not do that: it answers 503 for the share.
func (d Delta) redistributed(i int, l Leaf) (Finding, bool) {
	if l.Weight == 0 {
		return Finding{}, false
	}
	var seen []string
	if d.GateShut[i] > 0 {
		seen = append(seen, fmt.Sprintf("its queue was shut %d times", d.GateShut[i]))
	}
	if d.InFail[i] {
		seen = append(seen, "its queue was shut when the counters were read")
	}
	if d.Unready[i] {
		seen = append(seen, "it had no ready endpoint when the counters were read")
	}
	if len(seen) == 0 {
		return Finding{}, false
	}
	f := Finding{Code: CodeRedistributed, Effect: Invalid, Text: fmt.Sprintf(
		"the proxy could not send to %s (%s) and gave its weight to the other backends: the declared shares cannot hold",
		l.Name, strings.Join(seen, ", ")), Remedy: "see why " + l.Name + " has no ready endpoint for this client"}
	if d.Kind == Envoy {
		f.Code, f.Effect = CodeRefused, Note
		f.Text = fmt.Sprintf("the proxy had no healthy host for %s: it answers 503 for that share and gives it to nobody",
			l.Name)
	}
	return f, true
}

// Agree holds the draws against what the client counted by backend: whatever a backend answered, the proxy must have
// drawn it for. What the proxy drew beyond that is of others in the pod, or had no answer that names its backend.
// background is how many of those there were at least, known only where all requests are accounted for: sent are all
// that the client sent between the two pages.
func (d Delta) Agree(t Target, counted []int64, sent int64) (background int64, disagreement string) {
	if d.Draws == nil {
		return 0, ""
	}
	for i, n := range counted {
		if i < len(d.Draws) && n > d.Draws[i] {
			return 0, fmt.Sprintf("the proxy and the client disagree: %s answered %d requests, and the proxy drew it %d times: "+
				"the answers are told apart wrongly, requests reach it past the split, or the proxy is not the one that was "+
				"asked", t.Leaves[i].Name, n, d.Draws[i])
		}
	}
	return max(0, sum(d.Draws)+d.Other-sent), ""
}
