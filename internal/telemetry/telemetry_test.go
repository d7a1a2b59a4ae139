package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/splitbench/splitbench/internal/report"
)

// golden are the reports of internal/report's tests, one for each thing that can happen.
func golden(t *testing.T) map[string]report.Report {
	t.Helper()
	files, err := filepath.Glob("../report/testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden reports, %v", len(files), err)
	}
	out := map[string]report.Report{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.ReadJSON(bytes.NewReader(b))
		if err != nil {
			continue // another kind of document
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return out
}

// Prometheus' own parser reads the file of every report, with the names and values that the report has.
func TestPrometheusReadsTheFile(t *testing.T) {
	for name, r := range golden(t) {
		var b bytes.Buffer
		if err := WriteOpenMetrics(&b, r); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.HasSuffix(b.String(), "# EOF\n") {
			t.Errorf("%s: the file has no end", name)
		}
		for _, c := range b.String() {
			if c != '\n' && c < ' ' {
				t.Errorf("%s: the file holds %U", name, c)
			}
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(strings.TrimSuffix(b.String(), "# EOF\n")))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.String())
			continue
		}
		outcomes := families["splitbench_outcome"].GetMetric()
		set := 0.0
		for _, m := range outcomes {
			set += m.GetGauge().GetValue()
			if m.GetGauge().GetValue() == 1 && labelOf(m, "outcome") != r.Verdict.Outcome {
				t.Errorf("%s: outcome %s, want %s", name, labelOf(m, "outcome"), r.Verdict.Outcome)
			}
		}
		if len(outcomes) != 5 || set != 1 {
			t.Errorf("%s: %d outcomes of which %g are set", name, len(outcomes), set)
		}
		if got := len(families["splitbench_backend_requests"].GetMetric()); got != len(r.Backends) {
			t.Errorf("%s: %d backends, want %d", name, got, len(r.Backends))
		}
		for i, m := range families["splitbench_backend_requests"].GetMetric() {
			if len(r.Backends) == 2 && name != "hostile" && m.GetGauge().GetValue() != float64(r.Backends[i].Observed) {
				t.Errorf("%s: %s has %g, want %d", name, labelOf(m, "backend"), m.GetGauge().GetValue(), r.Backends[i].Observed)
			}
		}
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// A gateway gets the group of the split and, by Prometheus' own decoder, the numbers of the report.
func TestPush(t *testing.T) {
	var path, query, method, user, password string
	families := map[string]*dto.MetricFamily{}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query, method = r.URL.EscapedPath(), r.URL.RawQuery, r.Method
		user, password, _ = r.BasicAuth()
		dec := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
		for {
			var f dto.MetricFamily
			err := dec.Decode(&f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Error(err)
				break
			}
			families[f.GetName()] = &f
		}
	}))
	defer gateway.Close()
	r := golden(t)["fail"]
	if err := Push(t.Context(), strings.Replace(gateway.URL, "http://", "http://me:SECRET@", 1)+"/?token=TOKEN", r); err != nil {
		t.Fatal(err)
	}
	// The order of a group's labels means nothing to a gateway.
	for _, part := range []string{"/metrics/job/splitbench/", "/context/west", "/namespace/test", "/split/podinfo"} {
		if !strings.Contains(path, part) {
			t.Errorf("pushed to %s, which lacks %s", path, part)
		}
	}
	if user != "me" || password != "SECRET" {
		t.Errorf("pushed as %q with %q", user, password)
	}
	if query != "token=TOKEN" {
		t.Errorf("pushed with the query %q", query)
	}
	if method != http.MethodPut {
		t.Errorf("%s adds to what is there; want PUT, which replaces it", method)
	}
	shares := families["splitbench_backend_observed_share_ratio"].GetMetric()
	if len(shares) != 2 || shares[0].GetGauge().GetValue() != *r.Backends[0].ObservedShare || labelOf(shares[0], "backend") != "podinfo" {
		t.Errorf("shares %v", shares)
	}
	for name, r := range golden(t) {
		if err := Push(t.Context(), gateway.URL, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An OTLP receiver gets the same numbers, by OTLP's own messages.
func TestExportOTLP(t *testing.T) {
	var got []*collector.ExportMetricsServiceRequest
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		var m collector.ExportMetricsServiceRequest
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Error(err)
		}
		if u, p, _ := r.BasicAuth(); u != "me" || p != "SECRET" {
			t.Errorf("exported as %q with %q", u, p)
		}
		if r.URL.Path != "/v1/metrics" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s of %s", r.URL.Path, r.Header.Get("Content-Type"))
		}
		got = append(got, &m)
	}))
	defer receiver.Close()
	endpoint := strings.Replace(receiver.URL, "http://", "http://me:SECRET@", 1) + "/v1/metrics"
	all := golden(t)
	r := all["fail"]
	if err := ExportOTLP(t.Context(), endpoint, r, "v1"); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0].GetResourceMetrics()) != 1 {
		t.Fatalf("got %d exports", len(got))
	}
	resource := got[0].GetResourceMetrics()[0]
	names := map[string]string{}
	for _, a := range resource.GetResource().GetAttributes() {
		names[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if names["service.name"] != "splitbench" || names["splitbench.split"] != "podinfo" || names["splitbench.context"] != "west" {
		t.Errorf("resource %v", names)
	}
	seen := map[string]float64{}
	for _, m := range resource.GetScopeMetrics()[0].GetMetrics() {
		for _, p := range m.GetGauge().GetDataPoints() {
			key := m.GetName()
			for _, a := range p.GetAttributes() {
				key += " " + a.GetValue().GetStringValue()
			}
			seen[key] = p.GetAsDouble()
			if at := time.Unix(0, int64(p.GetTimeUnixNano())).UTC(); !at.Equal(r.Run.Ended) {
				t.Errorf("%s is of %s, want the run's end %s", key, at, r.Run.Ended)
			}
		}
	}
	if seen["splitbench_outcome fail"] != 1 || seen["splitbench_outcome pass"] != 0 || seen["splitbench_backend_requests podinfo"] != 6488 {
		t.Errorf("numbers %v", seen)
	}
	for name, r := range all {
		if err := ExportOTLP(t.Context(), endpoint, r, "v1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What does not answer, refuses or sends somewhere else is one sentence, without the password of its URL.
func TestReceiversThatDoNotTakeIt(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	defer refuses.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
	defer elsewhere.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	r := golden(t)["pass"]
	for name, server := range map[string]string{"refuses": refuses.URL, "elsewhere": elsewhere.URL, "gone": gone.URL, "hangs": hangs.URL} {
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		u.User, u.RawQuery = url.UserPassword("me", "SECRET"), "token=SECRET"
		for way, send := range map[string]func(context.Context) error{
			"push": func(ctx context.Context) error { return Push(ctx, u.String(), r) },
			"otlp": func(ctx context.Context) error { return ExportOTLP(ctx, u.String(), r, "v1") },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			err := send(ctx)
			cancel()
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
	}
}
