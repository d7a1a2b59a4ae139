package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
)

// The demo's clusters are the walkthrough's.
const (
	demoWest, demoEast = "west", "east"
	demoNamespace      = "test"
	demoSplit          = "ts/podinfo"
	demoFrom           = "deploy/frontend"
	demoContainer      = "nginx"
)

// Load of the demo. With 5,000 requests at 50/50 and the default tolerance a split on target passes but for one run in
// 500,000: the share must be off by 0.05-2.33*0.00707 = 0.0335, which is 4.7 standard deviations.
const (
	demoRequests = "5000"
	demoRate     = "1000"
)

// demoCommand holds the flags of `demo`.
type demoCommand struct {
	cfg    bench.Config
	result resultFlags

	trueWeights          analyze.Weights
	offMesh, gatewayDown bool
	serve                bool
	delay                time.Duration
}

func newDemo(a *app) *cobra.Command {
	w := &demoCommand{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on two clusters inside this process",
		Long: `demo starts the two clusters of the multicluster walkthrough inside this process, on loopback, and runs
splitbench on them. Nothing but this program is needed. The report says what was simulated.`,
		Example: `  splitbench demo
  splitbench demo --true-weights podinfo=65,podinfo-east=35
  splitbench demo --serve`,
		Args: cobra.NoArgs,
	}
	work := func(ctx context.Context, _ []string) error {
		world, err := w.start(ctx)
		if err != nil {
			return err
		}
		defer world.Close() // the process ends; what did not close is closed by that
		if w.serve {
			return a.serveDemo(ctx, world)
		}
		if err := w.connect(world); err != nil {
			return err
		}
		return a.runSplit(ctx, &w.cfg, w.result)
	}
	return a.command(cmd, &w.cfg, work,
		under("Simulation", bound(w.worldFlags)),
		under("Request", urlFlag{}, bound(classifyFlag), &requestFlags{}),
		under("Load", &amountFlags{requests: demoRequests, rate: demoRate}, bound(connectionFlags), warmUpFlag(20),
			ceilingFlags{}),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), bound(powerFlag), failOnFlag(&w.result.failOn),
			&sequentialFlags{}, bound(seedFlag)),
		under("Output", a.reportFlag(&w.result.render), bound(resultsFlag), bound(labelFlag), &w.result.sinks),
		under("Pods", bound(execFlag), bound(witnessFlags)),
		under("Generator", engineFlags{}, &turnoverFlags{}, &dialFlags{}),
		under("Early end", &limitFlags{}, bound(keepGoingFlag)),
	)
}

func (w *demoCommand) worldFlags(flags *pflag.FlagSet, _ *bench.Config) {
	read(flags, "true-weights", "",
		"weights that the data plane obeys instead of the split's: podinfo=65,podinfo-east=35",
		into(&w.trueWeights, analyze.ParseWeights))
	flags.BoolVar(&w.offMesh, "off-mesh", false, "the client pod has no proxy")
	flags.BoolVar(&w.gatewayDown, "gateway-down", false, "the other cluster's gateway is gone")
	flags.DurationVar(&w.delay, "gateway-delay", 0, "delay that the gateway adds to each answer; default 5ms")
	flags.BoolVar(&w.serve, "serve", false,
		"send nothing: keep the clusters up for kubectl and splitbench until interrupted")
}

func (w *demoCommand) start(ctx context.Context) (*demo.Clusters, error) {
	o := demo.Options{Seed: w.cfg.Options.Seed, OffMesh: w.offMesh, GatewayDown: w.gatewayDown, GatewayDelay: w.delay}
	if w.delay < 0 || w.delay > time.Minute {
		return nil, fmt.Errorf("--gateway-delay %s: want 0 to 1m", w.delay)
	}
	if w.trueWeights != nil {
		o.TrueWeights = map[string]int64{}
	}
	for _, x := range w.trueWeights {
		o.TrueWeights[x.Backend] = x.W
	}
	// The clusters outlive an interruption: the run still has to say goodbye to its agent and to look at them again.
	world, err := demo.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, fmt.Errorf("start the demo's clusters: %w", err)
	}
	return world, nil
}

// connect points a run at the demo's clusters.
func (w *demoCommand) connect(world *demo.Clusters) error {
	config, err := clientcmd.Load(world.Kubeconfig())
	if err != nil {
		return err
	}
	var clients [2]mesh.Client
	for i, name := range []string{demoEast, demoWest} { // the client's own last
		w.cfg.REST, err = clientcmd.NewNonInteractiveClientConfig(*config, name, nil, nil).ClientConfig()
		if err != nil {
			return err
		}
		if clients[i], err = mesh.Connect(w.cfg.REST, name); err != nil {
			return err
		}
	}
	w.cfg.Local, w.cfg.Remotes = clients[1], []mesh.Remote{{Client: clients[0]}}
	w.cfg.Simulated = world.Simulated()
	q := &w.cfg.Query
	q.Namespace, q.Split, q.From, q.Container = demoNamespace, demoSplit, demoFrom, demoContainer
	return nil
}

// serveDemo keeps the clusters up and says how to reach them.
func (a *app) serveDemo(ctx context.Context, world *demo.Clusters) error {
	dir, err := os.MkdirTemp("", "splitbench-demo-")
	if err != nil {
		return fmt.Errorf("--serve: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the token in it dies with this process
	file := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(file, world.Kubeconfig(), 0o600); err != nil {
		return fmt.Errorf("--serve: %w", err)
	}
	fmt.Fprintf(a.stdout, "export KUBECONFIG=%s\n", file)
	split := fmt.Sprintf("%s --context %s --remote-context %s -n %s --from %s -c %s", demoSplit, demoWest, demoEast,
		demoNamespace, demoFrom, demoContainer)
	fmt.Fprintf(a.talk(), `splitbench: %[1]s
splitbench: paste the line above into another terminal, then for example
  kubectl -n %[2]s get trafficsplits,pods,services
  splitbench check %[3]s
  splitbench run %[3]s --rate 500
  splitbench drill %[3]s --rate 100 --duration 30s
and while it drills, in a third
  kubectl -n %[2]s scale deployment/podinfo --replicas=0
  kubectl -n %[2]s scale deployment/podinfo --replicas=2
  kubectl --context %[4]s -n linkerd-multicluster scale deployment/linkerd-gateway --replicas=0
splitbench: until interrupted
`, world.Simulated(), demoNamespace, split, demoEast)
	<-ctx.Done()
	return endOfSignal(ctx)
}
