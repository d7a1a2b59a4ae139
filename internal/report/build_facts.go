package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
)

func splitOf(before, after *law.Snapshot) *Split {
	if before == nil {
		return nil
	}
	s := before.Split
	out := &Split{
		Kind: s.Kind, APIVersion: s.APIVersion, Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		ResourceVersion: s.ResourceVersion, Generation: s.Generation, Root: s.Root, WeightsFrom: s.EffectiveFrom,
		LastWriter: s.LastWriter, LastWritten: s.LastWritten, YAMLBefore: yamlText(s.YAML), Law: lawOf(before.Law),
	}
	if after == nil {
		out.Why = "it was not read again after the run"
		return out
	}
	out.YAMLAfter = yamlText(after.Split.YAML)
	if after.Split.Generation != s.Generation {
		out.GenerationAfter = after.Split.Generation
	}
	out.Why = changeOf(s, after.Split)
	out.Unchanged = out.Why == ""
	return out
}

// maxYAML bounds what a report holds of one object, in bytes. The run's folder has all of it.
const maxYAML = 32 << 10

func yamlText(b []byte) string {
	if len(b) > maxYAML {
		return string(b[:maxYAML]) + "\n# cut: the whole of it is in the run's folder\n"
	}
	return string(b)
}

// changeOf says what changed of the split, nothing where it says the same. A new resourceVersion alone is no change:
// controllers write annotations.
func changeOf(a, b law.Split) string {
	switch {
	case a.Found && !b.Found:
		return "it was deleted during the run"
	case a.UID != b.UID:
		return "it was deleted and created again during the run"
	case a.Root != b.Root:
		return fmt.Sprintf("its root Service changed from %s to %s during the run", a.Root, b.Root)
	case !slices.Equal(a.Declared, b.Declared):
		return "its declared weights changed during the run"
	case !slices.Equal(a.Effective, b.Effective):
		return "the weights that proxies obey changed during the run"
	}
	return ""
}

func sourceOf(in Input) *Source {
	if in.Before == nil {
		return nil
	}
	p := in.Before.Source
	out := &Source{
		Context: contextOf(in.Before), Namespace: p.Namespace, Pod: p.Name, PodUID: p.UID, Node: p.Node,
		Container: p.Container, ContainerWhy: p.ContainerWhy, Meshed: p.Meshed, ProxyImage: p.ProxyImage,
		Transport: in.Transport, Agent: in.Agent, Steps: in.Steps, Pods: in.Pods,
	}
	if t := in.Before.Through; t != nil {
		out.Through = t.Service.Namespace + "/" + t.Service.Name
	}
	return out
}

func addLoad(r *Report, f *LoadFacts) {
	if f == nil {
		return
	}
	var service, response [][]int64
	statuses := map[uint16]int64{}
	l := &Load{
		WarmUpRequests: f.WarmUp, Dropped: f.Dropped, TargetRatePerSecond: number(f.TargetRate),
		DurationSeconds: f.Duration.Seconds(), Connections: f.Connections, Engine: f.Engine, EndReason: f.EndReason, OnTime: f.OnTime,
	}
	for _, a := range append(slices.Clone(f.Backends), f.Unattributed) {
		l.Requests += a.requests()
		l.Errors += a.failed() + a.serverErrors()
		for status, n := range a.Statuses {
			statuses[status] += n
		}
		service, response = append(service, a.Service), append(response, a.Response)
	}
	if f.Duration > 0 {
		l.RatePerSecond = float64(l.Requests) / f.Duration.Seconds()
	}
	if f.CPU > 0 && l.Requests > 0 {
		l.CPUUsPerRequest = finite(f.CPU.Seconds() * 1e6 / float64(l.Requests))
	}
	last := len(service) - 1
	r.Latency = latencyOf(merge(service[:last]...), merge(response[:last]...))
	all := latencyOf(merge(service...), merge(response...))
	if all != nil {
		l.ServiceTime, l.ResponseTime, l.Why = all.ServiceTime, all.ResponseTime, all.Why
	} else {
		l.Why = "nothing was timed"
	}
	lags := ascending(f.SendLags)
	l.SendLag = SendLag{P50Us: quantile(lags, 0.5, time.Microsecond), P99Us: quantile(lags, 0.99, time.Microsecond)}
	l.StatusCodes = statusNames(statuses)
	if l.StatusCodes == nil {
		l.StatusCodes = map[string]int64{}
	}
	r.Load = l
}

// quantileLevel is the confidence at which a quantile must be bracketed by the sample to be reported at all.
const quantileLevel = 0.95

// latencyOf is nil where nothing was timed.
func latencyOf(service, response []int64) *Latency {
	service, response = ascending(service), ascending(response)
	if len(service) == 0 && len(response) == 0 {
		return nil
	}
	l := &Latency{
		Requests: int64(max(len(service), len(response))), ServiceTime: quantiles(service), ResponseTime: quantiles(response),
	}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		if need := analyze.MinSamples(q, quantileLevel); need > min(len(service), len(response)) {
			l.Why = tooFewForQuantile(q, need)
			break
		}
	}
	return l
}

func quantiles(sorted []int64) Quantiles {
	q := Quantiles{
		P50Ms: quantile(sorted, 0.5, time.Millisecond), P90Ms: quantile(sorted, 0.9, time.Millisecond),
		P99Ms: quantile(sorted, 0.99, time.Millisecond), P999Ms: quantile(sorted, 0.999, time.Millisecond),
	}
	if len(sorted) > 0 {
		q.MaxMs = finite(float64(sorted[len(sorted)-1]) / float64(time.Millisecond))
	}
	return q
}

// quantile is nil where the sample is too small for it.
func quantile(sorted []int64, q float64, unit time.Duration) *float64 {
	if len(sorted) == 0 || len(sorted) < analyze.MinSamples(q, quantileLevel) {
		return nil
	}
	return finite(float64(analyze.Quantile(sorted, q)) / float64(unit))
}

// ascending trusts nobody: an unsorted sample would make every quantile wrong and none of them look so.
func ascending(s []int64) []int64 {
	if slices.IsSorted(s) {
		return s
	}
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// merge joins ascending lists pair by pair: k lists of n in n log k.
func merge(lists ...[]int64) []int64 {
	for i := range lists {
		lists[i] = ascending(lists[i])
	}
	for len(lists) > 1 {
		var next [][]int64
		for i := 0; i < len(lists); i += 2 {
			if i+1 == len(lists) {
				next = append(next, lists[i])
				break
			}
			next = append(next, mergeTwo(lists[i], lists[i+1]))
		}
		lists = next
	}
	if len(lists) == 0 {
		return nil
	}
	return lists[0]
}

func mergeTwo(a, b []int64) []int64 {
	out := make([]int64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// statusNames are JSON keys; nil where there is none.
func statusNames(statuses map[uint16]int64) map[string]int64 {
	var out map[string]int64
	for status, n := range statuses {
		if n == 0 {
			continue
		}
		if out == nil {
			out = map[string]int64{}
		}
		out[strconv.Itoa(int(status))] += n
	}
	return out
}
