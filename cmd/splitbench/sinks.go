package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// sinkFlags are further destinations of a report.
type sinkFlags struct{ junit, pushGateway, otlp string }

func (s *sinkFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&s.junit, "junit", "", "file to write the report to as JUnit XML too")
	flags.StringVar(&s.pushGateway, "push-gateway", "", "URL of a Prometheus push gateway to send the numbers to")
	flags.StringVar(&s.otlp, "otlp", "",
		"URL of an OTLP receiver to send the numbers to over HTTP, such as http://collector:4318/v1/metrics")
}

// complete refuses what could not be delivered, before anything is sent.
func (s *sinkFlags) complete(*bench.Config) error {
	if err := folderExists("--junit", s.junit); err != nil {
		return err
	}
	for flag, raw := range map[string]string{"--push-gateway": s.pushGateway, "--otlp": s.otlp} {
		if raw == "" {
			continue
		}
		u, err := url.Parse(raw)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
			return fmt.Errorf("%s %q: want http://HOST:PORT or https://HOST", flag, untrusted.Masked(raw))
		}
		if flag == "--otlp" && u.RawQuery != "" {
			return fmt.Errorf("%s %q: a query is not sent; put a token into OTEL_EXPORTER_OTLP_HEADERS",
				flag, untrusted.Masked(raw))
		}
	}
	return nil
}

// folderExists refuses a file that could not be made.
func folderExists(flag, file string) error {
	dir := filepath.Dir(file)
	if info, err := os.Stat(dir); file != "" && (err != nil || !info.IsDir()) {
		return fmt.Errorf("%s %q: there is no folder %q; make it, or name another file", flag, file, dir)
	}
	return nil
}

// deliverLimit bounds each delivery over the network.
const deliverLimit = 15 * time.Second

// deliver writes and sends the report. What cannot be delivered never changes a verdict: a file that cannot be written
// is an error where the run is otherwise green, and a receiver that does not answer is a warning on stderr.
func (a *app) deliver(ctx context.Context, s sinkFlags, r report.Report) error {
	if s.pushGateway != "" {
		a.send(ctx, "--push-gateway", func(ctx context.Context) error { return telemetry.Push(ctx, s.pushGateway, r) })
	}
	if s.otlp != "" {
		a.send(ctx, "--otlp", func(ctx context.Context) error { return telemetry.ExportOTLP(ctx, s.otlp, r, toolVersion()) })
	}
	return writeJUnit(s.junit, r)
}

// send delivers over the network, for an interrupted run too.
func (a *app) send(ctx context.Context, flag string, to func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
	defer cancel()
	if err := to(ctx); err != nil {
		a.warn("%s: %v", flag, err)
	}
}

func writeJUnit(name string, all ...report.Report) error {
	if name == "" {
		return nil
	}
	return replaceFile("--junit", name, func(w io.Writer) error {
		return render.JUnit(w, "splitbench", report.Suites(all)...)
	})
}

// replaceFile writes a file whole or not at all, over one that is there: a CI job writes the same name each time. What
// a link leads to is replaced, not the link; a device or a pipe is written into, never renamed over.
func replaceFile(flag, name string, fill func(io.Writer) error) error {
	err := writeOver(name, fill)
	if err != nil {
		return fmt.Errorf("%s %q: %w", flag, name, err)
	}
	return nil
}

func writeOver(name string, fill func(io.Writer) error) error {
	switch there, err := os.Stat(name); {
	case err == nil && !there.IsDir() && !there.Mode().IsRegular():
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(fill(f), f.Close())
	case err == nil:
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	default:
		if _, err := os.Lstat(name); err == nil {
			return errors.New("it is a link that leads nowhere")
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".splitbench-*")
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// stepSummaryLimit is how many bytes GitHub accepts from one step.
const stepSummaryLimit = 1 << 20

// stepSummary adds the report to the summary of a GitHub job, where there is one: the file is what other commands of
// the step wrote, and stays. What cannot be written there is a warning.
func (a *app) stepSummary(r report.Report) {
	name := a.getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return
	}
	if err := appendSummary(name, r); err != nil {
		a.warn("GITHUB_STEP_SUMMARY: %v", err)
	}
}

func appendSummary(name string, r report.Report) (err error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > stepSummaryLimit-utf8.UTFMax*int64(render.Long) {
		return fmt.Errorf("file %q holds %d bytes already: the report would not fit", name, info.Size())
	}
	if info.Size() > 0 {
		if _, err := io.WriteString(f, "\n"); err != nil {
			return err
		}
	}
	return render.Markdown(f, r.Outline(), render.Long)
}
