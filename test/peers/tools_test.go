package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// measured is what one run of a program came to.
type measured struct {
	requests float64
	cpu      time.Duration // of the process, all of it
	took     time.Duration
	lagP50   float64 // us; NaN where the program does not say
	lagP99   float64
	p50, p99 float64 // us: service time, or what the program calls latency
	rate     float64 // sent per second
}

type bench struct {
	options
	url, dir string
}

// execute runs a program to its end and returns its output and what it cost.
func (b *bench) execute(ctx context.Context, stdin, name string,
	args ...string,
) ([]byte, time.Duration, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out.String(),
			talk.String())
	}
	return out.Bytes(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), took, nil
}

func (b *bench) ours(ctx context.Context, engine string, more ...string) (measured, error) {
	args := append([]string{
		"attack", b.url, "--engine", engine, "--connections", strconv.Itoa(b.connections), "--max-rate", "10000000",
		"--max-requests", "1000000000", "--classify", "east=json:/message=greetings from east", "-o", "json",
	}, more...)
	out, cpu, took, err := b.execute(ctx, "", b.splitbench, args...)
	if err != nil {
		return measured{}, err
	}
	var r struct {
		Load struct {
			Requests      float64
			RatePerSecond float64
			SendLag       struct{ P50Us, P99Us float64 }
		}
		Backends, Errors map[string]float64
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return measured{}, err
	}
	// What was in flight at the end has no answer.
	if r.Backends["east"]+r.Errors["canceled"] != r.Load.Requests {
		return measured{}, fmt.Errorf("splitbench: of %g requests %v were classified, and failed were %v", r.Load.Requests,
			r.Backends, r.Errors)
	}
	return measured{
		requests: r.Load.Requests, cpu: cpu, took: took, rate: r.Load.RatePerSecond,
		lagP50: r.Load.SendLag.P50Us, lagP99: r.Load.SendLag.P99Us,
	}, nil
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkMedian   = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+)(us|ms|s)`)
)

func (b *bench) wrk(connections int) program {
	return func(ctx context.Context, d time.Duration) (measured, error) {
		path, err := exec.LookPath("wrk")
		if err != nil {
			return measured{}, fmt.Errorf("wrk: %w: make peers installs it (Debian)", err)
		}
		// Whole seconds are all that it takes.
		out, cpu, took, err := b.execute(ctx, "", path, "-t1", "-c"+strconv.Itoa(connections),
			"-d"+strconv.Itoa(max(int(d.Seconds()), 1)), "--latency", b.url)
		if err != nil {
			return measured{}, err
		}
		m := measured{cpu: cpu, took: took, lagP50: math.NaN(), lagP99: math.NaN()}
		match := wrkRequests.FindSubmatch(out)
		if match == nil {
			return m, fmt.Errorf("wrk said %q", out)
		}
		if m.requests, err = strconv.ParseFloat(string(match[1]), 64); err != nil {
			return m, err
		}
		for _, x := range wrkMedian.FindAllSubmatch(out, -1) {
			v, err := strconv.ParseFloat(string(x[2]), 64)
			if err != nil {
				return m, err
			}
			v *= map[string]float64{"us": 1, "ms": 1e3, "s": 1e6}[string(x[3])]
			if string(x[1]) == "50" {
				m.p50 = v
			} else {
				m.p99 = v
			}
		}
		return m, nil
	}
}

// fortio uses its fast client. rate 0 is full speed.
func (b *bench) fortio(rate int) program {
	return func(ctx context.Context, d time.Duration) (measured, error) {
		file := filepath.Join(b.dir, "fortio.json")
		defer os.Remove(file)
		qps := strconv.Itoa(rate)
		_, cpu, took, err := b.execute(ctx, "", filepath.Join(b.bin, "fortio"), "load", "-quiet", "-qps", qps, "-c",
			strconv.Itoa(b.connections), "-t", d.String(), "-p", "50,99", "-uniform", "-json", file, b.url)
		if err != nil {
			return measured{}, err
		}
		doc, err := os.ReadFile(file)
		if err != nil {
			return measured{}, err
		}
		var r struct {
			ActualQPS         float64
			DurationHistogram struct {
				Count       float64
				Percentiles []struct{ Percentile, Value float64 }
			}
		}
		if err := json.Unmarshal(doc, &r); err != nil {
			return measured{}, err
		}
		m := measured{
			requests: r.DurationHistogram.Count, cpu: cpu, took: took, rate: r.ActualQPS, lagP50: math.NaN(), lagP99: math.NaN(),
		}
		for _, p := range r.DurationHistogram.Percentiles {
			switch p.Percentile {
			case 50:
				m.p50 = p.Value * 1e6
			case 99:
				m.p99 = p.Value * 1e6
			}
		}
		return m, nil
	}
}

var heyAnswers = regexp.MustCompile(`\[200\]\s+(\d+) responses`)

func (b *bench) hey(ctx context.Context, d time.Duration) (measured, error) {
	out, cpu, took, err := b.execute(ctx, "", filepath.Join(b.bin, "hey"), "-z", d.String(), "-c",
		strconv.Itoa(b.connections), b.url)
	if err != nil {
		return measured{}, err
	}
	match := heyAnswers.FindSubmatch(out)
	if match == nil {
		return measured{}, fmt.Errorf("hey said %q", out)
	}
	n, err := strconv.ParseFloat(string(match[1]), 64)
	return measured{requests: n, cpu: cpu, took: took}, err
}
