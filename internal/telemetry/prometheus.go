package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"

	"github.com/splitbench/splitbench/internal/report"
)

// WriteOpenMetrics writes the report's numbers as OpenMetrics text, for node_exporter's textfile collector, say.
func WriteOpenMetrics(w io.Writer, r report.Report) error {
	registry, err := registryOf(metricsOf(r), subject(r))
	if err != nil {
		return err
	}
	return write(w, registry)
}

// write writes a registry as OpenMetrics text.
func write(w io.Writer, registry *prometheus.Registry) error {
	families, err := registry.Gather()
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	enc := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
	}
	if end, ok := enc.(expfmt.Closer); ok {
		return end.Close()
	}
	return nil
}

// Push sends the report's numbers to a Prometheus push gateway, in place of what it has of the same split. The group is
// job "splitbench" with the split's context, namespace and name.
func Push(ctx context.Context, gateway string, r report.Report) error {
	registry, err := registryOf(metricsOf(r), nil) // the group says whose they are
	if err != nil {
		return err
	}
	address, query, user := apart(gateway)
	p := push.New(address, "splitbench").Gatherer(registry).
		Client(&http.Client{CheckRedirect: noRedirect, Transport: withQuery(query)})
	if user != nil {
		password, _ := user.Password()
		p = p.BasicAuth(user.Username(), password)
	}
	for _, l := range subject(r) {
		p = p.Grouping(l.name, l.value)
	}
	if err := p.PushContext(ctx); err != nil {
		return fmt.Errorf("push to %s: %w", address, err)
	}
	return nil
}

// noRedirect stays with the host that was named: a push is not to be sent on.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// withQuery sends each request with this query, which the push library would leave before its path. Errors quote the
// request without it: a query may hold a token.
type withQuery string

// RoundTrip implements http.RoundTripper.
func (q withQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.RawQuery = string(q)
	return http.DefaultTransport.RoundTrip(r)
}

// apart is a URL without its query and user, and these: libraries print the URLs they use.
func apart(raw string) (address, query string, user *url.Userinfo) {
	u, err := url.Parse(raw)
	if err != nil {
		return raw, "", nil // it will be refused by whoever uses it
	}
	query, user = u.RawQuery, u.User
	u.RawQuery, u.User = "", nil
	return u.String(), query, user
}

// registryOf holds the metrics as they are now; nobody ever adds to them.
func registryOf(metrics []metric, common []label) (*prometheus.Registry, error) {
	registry := prometheus.NewPedanticRegistry()
	return registry, registry.Register(fixed{metrics, common})
}

// fixed are metrics with the labels that all of them bear.
type fixed struct {
	metrics []metric
	common  []label
}

var _ prometheus.Collector = fixed{}

// Describe implements prometheus.Collector: which metrics there are shows as they are collected.
func (fixed) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Of backends of one name, once made harmless, it tells the first.
func (f fixed) Collect(ch chan<- prometheus.Metric) {
	constant := prometheus.Labels{}
	for _, l := range f.common {
		constant[l.name] = l.value
	}
	said := map[string]bool{}
	for _, m := range f.metrics {
		var names, values []string
		for _, l := range m.labels {
			names, values = append(names, l.name), append(values, safe(l.value))
		}
		key := m.name + "\xff" + strings.Join(values, "\xff")
		if said[key] {
			continue
		}
		said[key] = true
		kind := prometheus.GaugeValue
		if m.counter {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc(m.name, m.help, names, constant)
		line, err := prometheus.NewConstMetric(desc, kind, m.value, values...)
		if err != nil {
			line = prometheus.NewInvalidMetric(desc, err)
		}
		ch <- line
	}
}
