package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/watches"
)

// watchCommand holds the flags of `watch`.
type watchCommand struct {
	*app
	cfg     bench.WatchConfig
	cluster clusterFlags
	result  resultFlags

	allSplits, everywhere bool
	namespaces            []string
	most                  int

	metrics   string
	elect     bool
	leaseName string
	leaseIn   string // namespace
	leaseFor  time.Duration
	page      watches.Page
}

func newWatch(a *app) *cobra.Command {
	c := &watchCommand{app: a}
	cmd := &cobra.Command{
		Use:   "watch [SPLIT...]",
		Short: "Watch splits at a low rate, without end or for a time",
		Long: `watch sends requests at a low rate and evaluates them every few seconds. However often it does, the chance of
ever failing a split whose shares stay within their tolerances is at most --alpha, and a split that goes wrong is
noticed as quickly after a month as at the start. It ends at the first failure, after --for, or when interrupted.
Changed weights, and backends that lose their last endpoint, are no failure: the watch ends as invalid and says so.

If its pod or the API server goes away, it moves on to the next ready pod and says so; the time in between is a gap.

Several splits, those of a namespace (--all-splits), of several (--namespaces) or of all (-A), with labels (-l beside
--from), are watched in one process, each with its own evidence, gaps, verdict and stored runs. --rate is of all
together, divided equally; what a session learns with, some thirty requests when it begins, comes on top. A split that
fails or is changed ends no other and is watched anew, at --alpha each time; splits that come and go are followed. It
ends after --for as the worst of them (a failure counts whenever it was, a split that went away only if it had
failed), or when interrupted.

--metrics serves the results so far as /metrics, and /healthz and /readyz. With --leader-elect one of several
processes sends; the others are ready to take over. One that loses its lease stops sending at once.`,
		Example: `  splitbench watch ts/podinfo -n test --from deploy/frontend -c nginx --rate 5 --for 1h
  splitbench watch ts/podinfo -n test --from deploy/frontend --metrics 127.0.0.1:9095
  splitbench watch ts/a httproute/b -n test --from deploy/frontend --rate 10
  splitbench watch --namespaces shop,billing --from deploy/frontend -l tier=front --metrics :9095 --leader-elect`,
	}
	work := func(ctx context.Context, args []string) error { return c.run(ctx, cmd.Flags(), args) }
	c.cluster.command(a, cmd, &c.cfg.Config, work,
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), bound(classifyFlag), &requestFlags{}),
		under("Watch", c),
		under("Several splits", bound(c.severalFlags)),
		under("In a cluster", bound(c.leaseFlags)),
		under("Load", rateFlag("5"), bound(connectionFlags), warmUpFlag(20), ceilingFlags{}),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), failOnFlag(&c.result.failOn), bound(seedFlag)),
		under("Output", a.reportFlag(&c.result.render), bound(resultsFlag), bound(labelFlag)),
		under("Pods", bound(podsFlag), bound(execFlag)),
		under("Runner pods", runnerFlags{}),
		under("Generator", engineFlags{}, &turnoverFlags{}, &dialFlags{}),
		under("Early end", bound(keepGoingFlag)),
	)
	cmd.ValidArgsFunction = c.cluster.completeSplits
	cmd.Flags().Lookup("gate").Hidden = true // there is one
	return cmd
}

func (c *watchCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.DurationVar(&c.cfg.For, "for", 0, "how long to watch; default: without end")
	flags.DurationVar(&c.cfg.Every, "every", bench.DefaultEvery, "time between two looks")
	flags.StringVar(&c.metrics, "metrics", "",
		"address to serve OpenMetrics, /healthz and /readyz on, such as 127.0.0.1:9095; default: none")
}

func (c *watchCommand) severalFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVar(&c.allSplits, "all-splits", false, "watch every split of the namespace")
	flags.StringSliceVar(&c.namespaces, "namespaces", nil, "watch every split of these namespaces")
	flags.BoolVarP(&c.everywhere, "all-namespaces", "A", false,
		"watch every split of the cluster, each from --from in its own namespace")
	flags.IntVar(&c.most, "max-splits", 100, "splits to watch at a time; the metrics count those beyond it")
}

func (c *watchCommand) leaseFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVar(&c.elect, "leader-elect", false, "watch only while this process holds a lease, and stand by otherwise")
	flags.StringVar(&c.leaseName, "leader-elect-resource-name", "splitbench-watch", "name of the Lease")
	flags.StringVar(&c.leaseIn, "leader-elect-resource-namespace", "",
		"namespace of the Lease; default: that of the context, in a cluster that of the pod")
	flags.DurationVar(&c.leaseFor, "leader-elect-lease-duration", 15*time.Second,
		"after how long without renewal another process takes over")
}

func (c *watchCommand) complete(*bench.Config) error {
	w := c.cfg
	scopes := 0
	for _, given := range []bool{c.allSplits, c.everywhere, len(c.namespaces) > 0} {
		if given {
			scopes++
		}
	}
	switch {
	case w.For < 0 || w.Every < 0 || w.Every > 0 && w.Every < 100*time.Millisecond:
		return fmt.Errorf("--for %s, --every %s: want 0 or more, and at least 100ms between two looks", w.For, w.Every)
	case scopes > 1:
		return errors.New("--all-splits, --namespaces, -A: give one of them")
	case slices.Contains(c.namespaces, ""):
		return errors.New("--namespaces: one of them has no name; -A watches all namespaces")
	case c.most < 1 || c.most > maxWatched:
		return fmt.Errorf("--max-splits %d: want 1 to %d", c.most, maxWatched)
	case c.elect && c.leaseFor < time.Second:
		return fmt.Errorf("--leader-elect-lease-duration %s: want at least 1s", c.leaseFor)
	}
	return nil
}

// maxWatched bounds --max-splits: each split has a session, streams of its objects, and some fifty lines of metrics.
const maxWatched = 1000

// run watches one split or several, while this process is the one that should.
func (c *watchCommand) run(ctx context.Context, flags *pflag.FlagSet, args []string) error {
	named, several, err := c.asked(args)
	if err != nil {
		return err
	}
	if several {
		if err := suiteOutput(flags); err != nil {
			return err
		}
		args = nil
	}
	if err := c.cluster.prepareSource(&c.cfg.Config, args); err != nil {
		return err
	}
	if c.page.Lease, err = c.lease(); err != nil {
		return err
	}
	if c.metrics != "" {
		stop, err := c.serveMetrics(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	work := func(ctx context.Context) error {
		defer c.page.Clear()
		if several {
			return c.watchSeveral(ctx, form(flags.Lookup("output").Value.String()), named)
		}
		return c.measure(ctx, &c.cfg.Config, c.result, c.watchOne)
	}
	err = c.page.Lease.Hold(ctx, c.say, work)
	if sig := (*signalError)(nil); errors.As(err, &sig) {
		return endOfSignal(ctx) // while it stood by
	}
	return err
}

// asked is which splits are named, and whether several are meant.
func (c *watchCommand) asked(args []string) (named []string, several bool, err error) {
	q := c.cfg.Query
	scope := c.allSplits || c.everywhere || len(c.namespaces) > 0 || len(args) == 0 && q.From != "" && q.Selector != ""
	switch twoWords := len(args) == 2 && law.KindOf(args[0]) != ""; {
	case scope && len(args) > 0:
		return nil, false, fmt.Errorf("SPLIT %q: --all-splits, --namespaces, -A and -l say which splits are watched; "+
			"leave it out", args[0])
	case len(args) < 2 || twoWords:
		return args, scope, nil
	}
	args = slices.Compact(slices.Sorted(slices.Values(args)))
	if len(args) > c.most {
		return nil, false, fmt.Errorf("%d splits: at most %d are watched; allow more with --max-splits", len(args), c.most)
	}
	return args, true, nil
}

// lease is the lease that this process needs; nil: none.
func (c *watchCommand) lease() (*watches.Lease, error) {
	if !c.elect {
		return nil, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("--leader-elect: %w", err)
	}
	identity := host + "_" + rand.Text() // two processes of one host are two
	return watches.NewLease(c.cfg.REST, cmp.Or(c.leaseIn, c.cfg.Query.Namespace), c.leaseName, identity, c.leaseFor)
}

// watchOne watches the split that the query names, until it has ended for good.
func (c *watchCommand) watchOne(ctx context.Context) (report.Report, error) {
	c.cfg.State = func(s bench.WatchState) { c.page.Set(mesh.Found{Namespace: s.Namespace, Split: s.Split}, s) }
	return bench.Watch(ctx, c.cfg)
}

// watchSeveral watches splits until the time is over, and ends as the worst of them.
func (c *watchCommand) watchSeveral(ctx context.Context, output form, named []string) error {
	set := watches.Config{
		Rate: c.cfg.Load.Rate, For: c.cfg.For, Most: c.most, Each: c.each, Say: c.tell, Page: &c.page,
	}
	for _, n := range named {
		set.Named = append(set.Named, mesh.Found{Namespace: c.cfg.Query.Namespace, Split: n})
	}
	var err error
	if len(named) == 0 {
		if set.Find, err = c.finder(); err != nil {
			return err
		}
	}
	results, err := watches.Run(ctx, set)
	if err != nil {
		return err
	}
	out := report.NewSuiteReport(min(1, c.cfg.Options.Alpha*float64(len(results))), len(results))
	out.AlphaPerSplit = c.cfg.Options.Alpha
	for _, r := range results {
		out.Add(r.Namespace+"/"+r.Split, r.Split, r.Report, nil)
	}
	if len(results) == 0 {
		out.Outcome = report.Invalid
		c.say("no split was there to be watched")
	}
	d := suiteDocument(out)
	d["text"] = func(w io.Writer) error { return writeSuiteTable(w, out) }
	if err := c.write(output, d); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted{}
	}
	return outcomeError(out.Outcome, c.result.failOn)
}

// finder finds the splits that are meant.
func (c *watchCommand) finder() (func(context.Context) ([]mesh.Found, error), error) {
	namespaces, selector := c.namespaces, labels.Everything()
	switch {
	case c.everywhere:
		namespaces = []string{""}
		c.cluster.grant(&c.cfg.Config, "-A")
	case len(namespaces) == 0:
		namespaces = []string{c.cfg.Query.Namespace}
	}
	if q := &c.cfg.Query; q.From != "" && q.Selector != "" {
		var err error
		if selector, err = labels.Parse(q.Selector); err != nil {
			return nil, fmt.Errorf("-l %q: %w", q.Selector, err)
		}
		q.Selector = ""
	}
	return func(ctx context.Context) (all []mesh.Found, err error) {
		for _, ns := range namespaces {
			found, err := mesh.Find(ctx, c.cfg.Local, ns, selector)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}, nil
}

// each is the watch of one split of several.
func (c *watchCommand) each(f mesh.Found) bench.WatchConfig {
	one := c.cfg
	one.Query.Namespace, one.Query.Split = f.Namespace, f.Split
	c.cluster.grant(&one.Config)
	said := ""
	one.Progress = func(p bench.Progress) {
		if p.Text != "" && p.Text != said {
			said = p.Text
			c.tell("%s/%s: %s", f.Namespace, f.Split, p.Text)
		}
	}
	return one
}

// tell is say for what clusters have said.
func (c *watchCommand) tell(format string, args ...any) {
	c.say("%s", untrusted.Safe(fmt.Sprintf(format, args...)))
}

// serveMetrics serves the page until the returned function is called.
func (c *watchCommand) serveMetrics(ctx context.Context) (stop func(), err error) {
	c.page.Reach = c.cfg.Local.Reach
	s, err := listen(ctx, c.metrics, c.page.Handler())
	if err != nil {
		return nil, &record.UsageError{Err: fmt.Errorf("--metrics %q: %w; name another address", c.metrics, err)}
	}
	c.say("metrics on http://%s/metrics", s.address)
	return func() {
		s.Close() //nolint:errcheck // the process goes on without it
		if err := <-s.ended; err != nil {
			c.say("--metrics: %v", err)
		}
	}, nil
}
