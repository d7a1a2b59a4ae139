package witness

import (
	"bytes"
	"strconv"
	"strings"
)

// Envoy counts by cluster, and a cluster does not know which route chose it. A draw of a cluster is a request that it
// took in, or that it refused because no host of it was healthy, too much waited or the connection failed; a retry is
// not one, because Envoy keeps to the cluster that it drew. That this adds up was seen with Envoy 1.40.0: 1,000
// requests over three clusters, one of them without hosts or refusing connections, one answering 500 with a retry each,
// give 1,000 draws.

// envoyLine takes one line of Envoy's /stats, or of its /stats/prometheus.
func (p *Page) envoyLine(s *scanner, line []byte, t Target) (bool, error) {
	if rest, ok := bytes.CutPrefix(line, []byte("cluster.")); ok {
		return p.envoyText(rest, t)
	}
	if rest, ok := bytes.CutPrefix(line, []byte("server.uptime:")); ok {
		v, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
		if err != nil || v < 0 {
			return false, errSyntax
		}
		p.Uptime = Count{v, true}
		return true, nil
	}
	if !bytes.HasPrefix(line, []byte("envoy_")) {
		return false, nil
	}
	name, ls, value, err := s.sample(line)
	if err != nil {
		return false, err
	}
	n := string(name)
	if n == "envoy_server_uptime" {
		v, err := whole(value)
		if err != nil {
			return false, err
		}
		p.Uptime = Count{v, true}
		return true, nil
	}
	// A name with dots may be split between the metric's name and the label:
	// envoy_cluster_test_svc_cluster_local_upstream_rq_total.
	rest, ok := strings.CutPrefix(n, "envoy_cluster_")
	if !ok {
		return false, nil
	}
	counter, before := rest, ""
	for _, prefix := range []string{"upstream_", "membership_"} {
		if i := strings.LastIndex(rest, prefix); i >= 0 {
			before, counter = rest[:i], rest[i:]
			break
		}
	}
	for _, part := range []string{"external_", "internal_", "retry_", "canary_"} {
		if strings.HasSuffix(before, part) {
			return false, nil // counted again by kind
		}
	}
	leaf := t.envoyLeaf(string(ls.get("envoy_cluster_name")))
	if leaf < 0 {
		return false, nil
	}
	return p.envoyCounter(leaf, counter, value)
}

// envoyText takes NAME.COUNTER: VALUE apart, where NAME may have dots and colons itself and VALUE may be a histogram.
func (p *Page) envoyText(rest []byte, t Target) (bool, error) {
	sep := bytes.LastIndex(rest, []byte(": "))
	if sep < 0 {
		return false, errSyntax
	}
	dot := bytes.LastIndexByte(rest[:sep], '.')
	if dot < 0 {
		return false, errSyntax
	}
	counter := string(rest[dot+1 : sep])
	if !strings.HasPrefix(counter, "upstream_") && counter != "membership_healthy" {
		return false, nil
	}
	leaf := t.envoyLeaf(string(rest[:dot]))
	if leaf < 0 {
		return false, nil
	}
	value, err := strconv.ParseFloat(string(rest[sep+2:]), 64)
	if err != nil {
		return false, nil //nolint:nilerr // a histogram in words
	}
	return p.envoyCounter(leaf, counter, value)
}

func (p *Page) envoyCounter(leaf int, counter string, value float64) (bool, error) {
	n, err := whole(value)
	if err != nil {
		return false, err
	}
	switch counter {
	case "upstream_rq_total", "upstream_cx_none_healthy", "upstream_rq_pending_overflow",
		"upstream_rq_pending_failure_eject":
		p.Queue.add(leaf, n)
	case "upstream_rq_retry":
		p.Queue.add(leaf, -n)
		p.Retries.add(n)
	case "upstream_cx_total":
		p.Streams.add(leaf, n)
	case "upstream_rq_completed":
		p.Replies.add(leaf, n)
	case "membership_healthy":
		p.Ready[leaf].add(n)
	default:
		return false, nil
	}
	return true, nil
}

// envoyLeaf is the leaf that a cluster is of: by the Service's own name, by outbound|PORT|SUBSET|HOST of Istio, by HOST
// or by NAMESPACE/NAME[:PORT]. -1 where none is.
func (t Target) envoyLeaf(cluster string) int {
	host, port, subset := strings.TrimSuffix(cluster, ";"), "", ""
	if parts := strings.Split(host, "|"); len(parts) == 4 && parts[0] == "outbound" {
		port, subset, host = parts[1], parts[2], parts[3]
	}
	if ns, rest, ok := strings.Cut(host, "/"); ok && !strings.Contains(rest, "/") {
		name, at, _ := strings.Cut(rest, ":")
		host, port = name+"."+ns, at
	}
	for i, l := range t.Leaves {
		if authorityIs([]byte(host), l.Service, l.Namespace, 0) && l.Subset == subset &&
			(port == "" || l.Port == 0 || port == strconv.Itoa(int(l.Port))) {
			return i
		}
	}
	return -1
}
