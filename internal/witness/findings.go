package witness

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
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
	CodeRefused       = "unready-backend"
	CodeUnsure        = "not-told"
)

// Findings says what disturbed the draws. expect is the path that the objects want requests to take, "" where
// that is not known; sent is how many requests the client sent to the root between the two pages.
func (d Delta) Findings(t Target, expect law.Path, sent int64) []Finding {
	var out []Finding
	if d.Restarted != "" {
		out = append(out, Finding{
			Code: CodeRestarted, Effect: Invalid,
			Text: "the proxy of the client pod was not the same all the time: " + d.Restarted,
		})
	}
	if d.Unsure != "" {
		return append(out, Finding{Code: CodeUnsure, Effect: Note, Text: "what the proxy drew cannot be told: " + d.Unsure})
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
				"are drawn: the draws that the proxy counted are judged in place of the answers", d.Retries)}
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
					"for each request, so connections are judged", sum(d.Streams)),
			Remedy: "for as many draws as requests, send one request on each connection: --requests-per-connection 1",
		})
	}
	return out
}

// stale is the first check of all: whether requests take the path that the objects say. A Linkerd proxy keeps the path
// that it built for an address for as long as somebody uses it.
func (d Delta) stale(t Target, expect law.Path, sent int64) (Finding, bool) {
	paths, what, enough := d.Paths, "requests", sent
	if d.PerConnection() {
		paths, what, enough = d.Streamed, "connections", sum(d.Streams)
	}
	taken := paths[expect]
	if expect == "" || len(paths) == 0 || taken > 0 && taken >= enough {
		return Finding{}, false
	}
	other := law.Path("")
	for _, p := range []law.Path{
		law.PathServiceProfile, law.PathHTTPRoute, law.PathGRPCRoute, law.PathTCPRoute, law.PathTLSRoute, law.PathDefault,
	} {
		if p != expect && paths[p] > paths[other] {
			other = p
		}
	}
	if other == "" || expect == law.PathDefault && (taken > 0 || other != law.PathServiceProfile) {
		return Finding{}, false
	}
	since := fmt.Sprintf("before the %s ruled", expect)
	if expect == law.PathDefault {
		since = "when an object ruled that does so no more"
	}
	text := fmt.Sprintf("the client's proxy still uses the routes that it cached %s: %d of its %s to %s/%s took ",
		since, paths[other], what, t.Namespace, t.Root)
	if other == law.PathDefault {
		text += "no object's rules at all"
	} else {
		text += "the rules of a " + string(other)
	}
	return Finding{
		Code: CodeStalePath, Effect: Invalid, Text: text + " (linkerd2 issues 11032, 12769 and 14274)",
		Remedy: "restart the client's pods, whose proxies then read the objects anew: kubectl -n " + t.Namespace +
			" rollout restart",
	}, true
}

// redistributed tells a leaf whose weight went to the others. Envoy does not do that: it answers 503 for the share.
func (d Delta) redistributed(i int, l Leaf) (Finding, bool) {
	if l.Weight == 0 || i >= len(d.GateShut) {
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

// Agreement is how the draws fit what the client counted.
type Agreement struct {
	// Background is how many draws at least are of others in the pod: the counters do not tell containers apart. What the
	// proxy drew again is not among them.
	Background int64
	Disagrees  string // what cannot be, "" where nothing contradicts
}

// Agree holds the draws against what the client counted by backend: whatever a backend answered, the proxy must have
// drawn it for. Sent are all that the client sent between the two pages; of a proxy that draws for each connection,
// counted and sent are connections.
func (d *Delta) Agree(t Target, counted []int64, sent int64) Agreement {
	draws := d.Drawn()
	if draws == nil {
		return Agreement{}
	}
	for i, n := range counted {
		if i >= len(draws) || n <= draws[i] {
			continue
		}
		if d.Counter == counterLegacy { // of endpoints, by labels that not every version gives
			d.Draws, d.Unsure = nil, fmt.Sprintf("its counters have fewer requests to %s than it answered", t.Leaves[i].Name)
			return Agreement{}
		}
		return Agreement{Disagrees: fmt.Sprintf("the proxy and the client disagree: %s answered %d requests, and the proxy "+
			"drew it %d times: the answers are told apart wrongly, requests reach it past the split, or the proxy is not the "+
			"one that was asked", t.Leaves[i].Name, n, draws[i])}
	}
	if d.Kind == Linkerd { // with Envoy they are no draws
		sent += d.Retries
	}
	return Agreement{Background: max(0, sum(draws)+d.Other-sent)}
}

// Drawn are the draws by leaf, of connections where the proxy does not look into them; nil where nothing tells them.
func (d Delta) Drawn() []int64 {
	if d.PerConnection() {
		return d.Streams
	}
	return d.Draws
}
