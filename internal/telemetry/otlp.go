package telemetry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/splitbench/splitbench/internal/report"
)

// ExportOTLP sends the report's numbers as gauges to an OTLP receiver over HTTP. endpoint is its whole URL, such as
// http://collector:4318/v1/metrics or, for Prometheus itself, http://prometheus:9090/api/v1/otlp/v1/metrics. Headers
// and certificates come from the environment as OpenTelemetry defines it (OTEL_EXPORTER_OTLP_HEADERS and so on). Their
// time is the run's end.
func ExportOTLP(ctx context.Context, endpoint string, r report.Report, version string) (err error) {
	address, _, user := apart(endpoint)
	options := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpointURL(address), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	}
	if user != nil {
		password, _ := user.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		options = append(options, otlpmetrichttp.WithHeaders(map[string]string{"Authorization": "Basic " + basic}))
	}
	exporter, err := otlpmetrichttp.New(ctx, options...)
	if err != nil {
		return fmt.Errorf("export to %s: %w", address, err)
	}
	defer func() {
		err = errors.Join(err, exporter.Shutdown(context.WithoutCancel(ctx)))
	}()
	if err := exporter.Export(ctx, resourceMetrics(r, version)); err != nil {
		return fmt.Errorf("export to %s: %w", address, err)
	}
	return nil
}

func resourceMetrics(r report.Report, version string) *metricdata.ResourceMetrics {
	attributes := []attribute.KeyValue{
		attribute.String("service.name", "splitbench"), attribute.String("service.version", version),
	}
	for _, l := range subject(r) {
		attributes = append(attributes, attribute.String("splitbench."+l.name, l.value))
	}
	at := time.Time{}
	if r.Run != nil {
		at = r.Run.Ended
	}
	scope := metricdata.ScopeMetrics{
		Scope: instrumentation.Scope{Name: "github.com/splitbench/splitbench", Version: version},
	}
	for _, m := range metricsOf(r) {
		var set []attribute.KeyValue
		for _, l := range m.labels {
			set = append(set, attribute.String(l.name, safe(l.value)))
		}
		point := metricdata.DataPoint[float64]{Attributes: attribute.NewSet(set...), Time: at, Value: m.value}
		i := slices.IndexFunc(scope.Metrics, func(x metricdata.Metrics) bool { return x.Name == m.name })
		if i < 0 {
			i = len(scope.Metrics)
			scope.Metrics = append(scope.Metrics, metricdata.Metrics{
				Name: m.name, Description: m.help, Unit: m.unit, Data: metricdata.Gauge[float64]{},
			})
		}
		if g, ok := scope.Metrics[i].Data.(metricdata.Gauge[float64]); ok {
			g.DataPoints = append(g.DataPoints, point)
			scope.Metrics[i].Data = g
		}
	}
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attributes...), ScopeMetrics: []metricdata.ScopeMetrics{scope},
	}
}
