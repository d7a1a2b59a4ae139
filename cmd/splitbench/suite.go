package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// suiteRun is one split of a suite, configured but not yet run.
type suiteRun struct {
	suiteSplit
	cfg    bench.Config
	limits []report.Limit
}

// runSuite runs several splits one after the other and ends as the worst of them. The error rate holds for all
// together: each verdict is made at alpha divided by their number (Bonferroni), and the requests that it needs are
// planned for that.
func (c *runCommand) runSuite(ctx context.Context, flags *pflag.FlagSet, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("SPLIT %q: -f and --all-splits say which splits are run; leave it out", args[0])
	case c.suite != "" && c.allSplits:
		return errors.New("--filename and --all-splits: give one of them")
	}
	if err := suiteOutput(flags); err != nil {
		return err
	}
	suite, err := c.splits(ctx)
	if err != nil {
		return err
	}
	// All is read before anything is sent: a mistake in the last split is no surprise after the first hour.
	out := report.NewSuiteReport(c.cfg.Options.Alpha, len(suite.Splits))
	runs := make([]suiteRun, len(suite.Splits))
	for i, s := range suite.Splits {
		if runs[i], err = c.configure(flags, s, s.over(suite.Defaults), out.AlphaPerSplit); err != nil {
			return fmt.Errorf("split %s: %w", s.Name, err)
		}
	}
	for i, s := range runs {
		if c.dryRun {
			err = c.app.dryRun(ctx, s.cfg, form(flags.Lookup("output").Value.String()))
		} else {
			c.say("split %d of %d: %s", i+1, len(runs), s.Name)
			err = c.runOne(ctx, s, &out)
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			break // interrupted: what was measured is said
		}
	}
	if c.dryRun {
		return nil
	}
	if err := c.write(form(flags.Lookup("output").Value.String()), suiteDocument(out)); err != nil {
		return err
	}
	delivered := c.deliverSuite(ctx, out)
	if ctx.Err() != nil {
		return interrupted{}
	}
	return cmp.Or(outcomeError(out.Outcome, c.result.failOn), delivered)
}

// suiteOutput refuses forms in which several splits cannot be printed.
func suiteOutput(flags *pflag.FlagSet) error {
	output, beside := flags.Lookup("output").Value.String(), ""
	switch {
	case output == "text", output == "json", output == "markdown", hasPrinter(output):
		return nil
	case flags.Lookup("junit") != nil:
		beside = "; --junit writes a file beside it"
	}
	return fmt.Errorf("-o %q: several splits are printed as text, markdown, json, %s%s", output,
		enumerate(printed, " or "), beside)
}

// runOne carries out one split.
func (c *runCommand) runOne(ctx context.Context, one suiteRun, out *report.SuiteReport) error {
	defer one.cfg.Close()
	p := c.newProgress()
	one.cfg.Progress = p.show
	r, err := bench.Run(ctx, one.cfg)
	p.end()
	if err != nil {
		return fmt.Errorf("split %s: %w", one.Name, err)
	}
	out.Add(one.Name, one.Split, r, one.limits)
	return nil
}

// splits returns the splits of the file, or all of the namespace.
func (c *runCommand) splits(ctx context.Context) (suiteFile, error) {
	if c.suite != "" {
		return c.readSuite(c.suite)
	}
	var s suiteFile
	if err := c.cluster.prepare(&c.cfg, nil); err != nil {
		return s, err
	}
	namespace := c.cfg.Query.Namespace
	names, err := mesh.Splits(ctx, c.cfg.Local, namespace)
	switch {
	case err != nil:
		return s, err
	case len(names) == 0:
		return s, fmt.Errorf("--all-splits: namespace %s has no split", namespace)
	case len(names) > maxSplits:
		return s, fmt.Errorf("--all-splits: namespace %s has %d splits, at most %d are run", namespace, len(names), maxSplits)
	}
	for _, n := range names {
		s.Splits = append(s.Splits, suiteSplit{Name: n, Split: n})
	}
	return s, nil
}

// configure reads one split's configuration: the command line's flags, then the settings'.
func (c *runCommand) configure(
	parent *pflag.FlagSet, s suiteSplit, settings suiteSettings, alpha float64,
) (suiteRun, error) {
	one := &runCommand{app: c.app}
	sections, flags := one.sections(), pflag.NewFlagSet("run", pflag.ContinueOnError)
	register(flags, &one.cfg, sections)
	out := suiteRun{suiteSplit: s}
	var err error
	parent.Visit(func(p *pflag.Flag) {
		if flags.Lookup(p.Name) != nil && err == nil && !c.isDefault(p.Name) {
			err = copyFlag(flags, p)
		}
	})
	if err != nil {
		return out, err
	}
	if err := cmp.Or(settings.apply(flags), c.applyDefaults(flags)); err != nil {
		return out, err
	}
	one.cfg.Options.Alpha = alpha
	if err := c.complete(flags, &one.cfg, sections); err != nil {
		return out, err
	}
	if err := one.cluster.prepareSource(&one.cfg, []string{s.Split}); err != nil {
		return out, err
	}
	for k, v := range settings.Labels {
		if _, given := one.cfg.Labels[k]; !given {
			put(&one.cfg.Labels, k, v)
		}
	}
	out.cfg = one.cfg
	out.limits, err = settings.limits()
	return out, err
}

// copyFlag sets a flag to what another command's flag of the same name was given.
func copyFlag(to *pflag.FlagSet, from *pflag.Flag) error {
	if several, ok := from.Value.(pflag.SliceValue); ok {
		for _, v := range several.GetSlice() {
			if err := to.Set(from.Name, v); err != nil {
				return err
			}
		}
		return nil
	}
	return to.Set(from.Name, from.Value.String())
}

// suiteDocument returns the forms of a suite.
func suiteDocument(s report.SuiteReport) document {
	return document{
		"text": func(w io.Writer) error { return writeSuite(w, s) },
		"json": jsonOf(s),
		"markdown": func(w io.Writer) error {
			for _, x := range s.Splits {
				if err := render.Markdown(w, x.Report.Outline(), render.Medium); err != nil {
					return err
				}
				fmt.Fprintln(w)
			}
			return nil
		},
	}
}

// writeSuite writes what the splits came to, and what the errors are.
func writeSuite(w io.Writer, s report.SuiteReport) error {
	if err := writeSuiteTable(w, s); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "A wrong verdict anywhere among these splits comes up at most %.4g %% of the time:\n"+
		"each was judged at alpha %.4g, which is %g divided by their number (Bonferroni).\n",
		100*s.Alpha, s.AlphaPerSplit, s.Alpha)
	return err
}

// writeSuiteTable writes a line for each split, why not all passed, and how many came to what.
func writeSuiteTable(w io.Writer, s report.SuiteReport) error {
	rows := make([][]string, len(s.Splits))
	count := map[string]int{}
	for i, x := range s.Splits {
		rows[i] = []string{
			untrusted.Safe(x.Name), x.Outcome, fmt.Sprint(x.Requests), untrusted.Safe(x.Split), untrusted.Safe(x.Run),
		}
		count[x.Outcome]++
	}
	if err := render.Table(w, []string{"NAME", "OUTCOME", "REQUESTS", "SPLIT", "RUN"}, rows); err != nil {
		return err
	}
	for _, x := range s.Splits {
		for _, why := range x.Reasons {
			if x.Outcome != report.Pass {
				fmt.Fprintf(w, "%s: %s\n", untrusted.Safe(x.Name), untrusted.Printable(why))
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%d pass, %d fail, %d inconclusive, %d invalid.\n",
		count[report.Pass], count[report.Fail], count[report.Inconclusive], count[report.Invalid])
	return err
}

// deliverSuite writes one JUnit file of all, and sends each report where one would be sent.
func (c *runCommand) deliverSuite(ctx context.Context, s report.SuiteReport) error {
	each := c.result.sinks
	each.junit = ""
	reports := make([]report.Report, len(s.Splits))
	var errs []error
	for i, x := range s.Splits {
		c.stepSummary(x.Report)
		reports[i] = x.Report
		errs = append(errs, c.deliver(ctx, each, x.Report))
	}
	return errors.Join(append(errs, writeJUnit(c.result.sinks.junit, reports...))...)
}

// suiteFile is the content of splitbench.yaml. Unknown keys are refused.
type suiteFile struct {
	APIVersion string        `yaml:"apiVersion"`
	Kind       string        `yaml:"kind"` // Suite
	Defaults   suiteSettings `yaml:"defaults"`
	Splits     []suiteSplit  `yaml:"splits"`
}

// suiteSettings are flags of run in camel case. The command line goes before a split, and a split before the defaults.
type suiteSettings struct {
	Context        string              `yaml:"context,omitempty"`
	RemoteContexts []string            `yaml:"remoteContexts,omitempty"`
	Namespace      string              `yaml:"namespace,omitempty"`
	From           string              `yaml:"from,omitempty"`
	FromNamespace  string              `yaml:"fromNamespace,omitempty"`
	Selector       string              `yaml:"selector,omitempty"`
	Container      string              `yaml:"container,omitempty"`
	Through        string              `yaml:"through,omitempty"`
	URL            string              `yaml:"url,omitempty"`
	HTTP           string              `yaml:"http,omitempty"`
	Method         string              `yaml:"method,omitempty"`
	Headers        []string            `yaml:"headers,omitempty"`
	GRPCMethod     string              `yaml:"grpcMethod,omitempty"`
	Classify       []string            `yaml:"classify,omitempty"`
	Requests       string              `yaml:"requests,omitempty"`
	Rate           string              `yaml:"rate,omitempty"`
	Duration       string              `yaml:"duration,omitempty"`
	Timeout        string              `yaml:"timeout,omitempty"`
	Tolerance      string              `yaml:"tolerance,omitempty"`
	Gate           string              `yaml:"gate,omitempty"`
	Power          string              `yaml:"power,omitempty"`
	Seed           string              `yaml:"seed,omitempty"`
	Labels         map[string]string   `yaml:"labels,omitempty"`
	Latency        map[string]quantile `yaml:"latency,omitempty"` // by backend, or "*" for each
}

// quantile are limits of response times: p90: 50ms.
type quantile map[string]string

type suiteSplit struct {
	Name          string `yaml:"name"`  // unique; the split where it is left out
	Split         string `yaml:"split"` // as on the command line
	suiteSettings `yaml:",inline"`
}

// Bounds of a suite.
const (
	maxSuiteFile = 1 << 20
	maxSplits    = 10_000 // no namespace has as many, but a hostile server may say so
)

// readSuite reads and checks a suite file.
func (a *app) readSuite(name string) (suiteFile, error) {
	f, err := a.open(name)
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSuiteFile+1))
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename: %w", err)
	}
	if len(b) > maxSuiteFile {
		return suiteFile{}, fmt.Errorf("--filename %q: it is larger than %d bytes", name, maxSuiteFile)
	}
	s, err := parseSuite(b)
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename %q: %s",
			name, untrusted.Printable(strings.Join(strings.Fields(err.Error()), " ")))
	}
	return s, nil
}

// parseSuite refuses unknown and repeated keys, anchors that unfold beyond measure, and splits of one name.
func parseSuite(b []byte) (suiteFile, error) {
	var s suiteFile
	if _, err := readYAML(b, &s); err != nil {
		return s, err
	}
	switch {
	case s.Kind != "Suite" || s.APIVersion != report.APIVersion:
		return s, fmt.Errorf("it is %q of %q, want kind Suite of apiVersion %s", s.Kind, s.APIVersion, report.APIVersion)
	case len(s.Splits) == 0:
		return s, fmt.Errorf("splits: name one at least")
	case len(s.Splits) > maxSplits:
		return s, fmt.Errorf("splits: %d are given, at most %d are run", len(s.Splits), maxSplits)
	}
	seen := map[string]bool{}
	for i := range s.Splits {
		x := &s.Splits[i]
		if x.Split == "" {
			return s, fmt.Errorf("splits[%d]: split: name one, such as ts/podinfo", i)
		}
		x.Name = cmp.Or(x.Name, x.Split)
		if seen[x.Name] {
			return s, fmt.Errorf("splits[%d]: the name %q is taken: each split needs its own", i, x.Name)
		}
		seen[x.Name] = true
		for _, settings := range []suiteSettings{s.Defaults, x.suiteSettings} {
			if _, err := settings.limits(); err != nil {
				return s, fmt.Errorf("splits[%d]: latency: %w", i, err)
			}
		}
	}
	return s, nil
}

// apply sets the flags that the settings name and nobody else has set. A setting is named as its flag is, in camel case
// and where it is a list in the plural; labels and latency are no such settings.
func (s suiteSettings) apply(flags *pflag.FlagSet) error {
	values := map[string]any{}
	b, _ := yaml.Dump(s) // of strings, lists and maps: it cannot fail
	_ = yaml.Load(b, &values)
	for _, key := range sorted(values) {
		f := flags.Lookup(flagOf(key))
		if f == nil || f.Changed {
			continue
		}
		given, several := values[key].([]any)
		if !several {
			given = []any{values[key]}
		}
		for _, v := range given {
			if err := flags.Set(f.Name, fmt.Sprint(v)); err != nil {
				return valueError(err)
			}
		}
	}
	return nil
}

// flagOf is the flag of a setting: remote-context of remoteContexts.
func flagOf(key string) string {
	if key == "remoteContexts" || key == "headers" {
		key = strings.TrimSuffix(key, "s")
	}
	var b strings.Builder
	for _, r := range key {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// over returns these settings, and those below where these are unset.
func (s suiteSettings) over(below suiteSettings) suiteSettings {
	a, _ := yaml.Dump(below) // of strings and maps: it cannot fail
	b, _ := yaml.Dump(s)
	out := suiteSettings{}
	_ = yaml.Load(a, &out)
	_ = yaml.Load(b, &out) // maps are merged, key by key
	return out
}

// limits are those of the response times, by backend and quantile.
func (s suiteSettings) limits() ([]report.Limit, error) {
	var out []report.Limit
	for _, backend := range sorted(s.Latency) {
		for _, name := range sorted(s.Latency[backend]) {
			q, err := parseQuantile(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: want p50, p90 or p99", backend, name)
			}
			most, err := time.ParseDuration(s.Latency[backend][name])
			if err != nil || most <= 0 {
				return nil, fmt.Errorf("%s: %s: %q: want a duration such as 50ms", backend, name, s.Latency[backend][name])
			}
			out = append(out, report.Limit{Backend: backend, Quantile: q, Most: most})
		}
	}
	return out, nil
}
