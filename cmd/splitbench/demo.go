package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
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

// demoWorld are the flags that shape the clusters.
type demoWorld struct {
	trueWeights          string
	offMesh, gatewayDown bool
	serve                bool
	delay                time.Duration
}

func demoCommand(a *app) *cobra.Command {
	var (
		w      demoWorld
		l      loading
		j      judging
		looks  sequentialFlags
		to     sinks
		output string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on two clusters inside this process",
		Long: `demo starts the two clusters of the multicluster walkthrough inside this process, on loopback, and runs splitbench
on them. Nothing but this program is needed. The report says what was simulated.`,
		Example: `  splitbench demo
  splitbench demo --true-weights podinfo=65,podinfo-east=35
  splitbench demo --serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(checkReportOutput(output), to.check()); err != nil {
				return err
			}
			cfg, failOn, err := l.config(a, cmd, &j)
			if err != nil {
				return err
			}
			world, err := w.start(cmd.Context(), j.seed)
			if err != nil {
				return err
			}
			defer world.Close() // the process ends; what did not close is closed by that
			if w.serve {
				return a.serveDemo(cmd.Context(), world)
			}
			if err := connectDemo(&cfg, world, l.url); err != nil {
				return err
			}
			if cfg.Sequential, err = looks.plan(); err != nil {
				return err
			}
			cfg.Command = commandLine(os.Args[1:])
			return a.execute(cmd, cfg, output, failOn, &to)
		},
	}
	flags := cmd.Flags()
	l.add(flags, demoRequests, demoRate)
	j.add(flags)
	looks.add(flags)
	to.add(flags)
	flags.StringVar(&w.trueWeights, "true-weights", "", "weights that the data plane obeys in place of the split: podinfo=65,podinfo-east=35")
	flags.BoolVar(&w.offMesh, "off-mesh", false, "the client pod has no proxy")
	flags.BoolVar(&w.gatewayDown, "gateway-down", false, "the other cluster's gateway is gone")
	flags.DurationVar(&w.delay, "gateway-delay", 0, "what the gateway adds to each answer; default 5ms")
	flags.BoolVar(&w.serve, "serve", false, "send nothing: keep the clusters up for kubectl and splitbench until interrupted")
	flags.StringVarP(&output, "output", "o", "text", outputHelp)
	return cmd
}

func (w demoWorld) start(ctx context.Context, seed uint64) (*demo.Clusters, error) {
	o := demo.Options{Seed: seed, OffMesh: w.offMesh, GatewayDown: w.gatewayDown, GatewayDelay: w.delay}
	if w.delay < 0 || w.delay > time.Minute {
		return nil, fmt.Errorf("--gateway-delay %s: want 0 to 1m", w.delay)
	}
	if w.trueWeights != "" {
		weights, err := analyze.ParseWeights(w.trueWeights)
		if err != nil {
			return nil, fmt.Errorf("--true-weights: %w", err)
		}
		o.TrueWeights = map[string]int64{}
		for _, x := range weights {
			o.TrueWeights[x.Backend] = x.W
		}
	}
	// The clusters outlive an interruption: the run still has to say goodbye to its agent and to look at them again.
	world, err := demo.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, fmt.Errorf("start the demo's clusters: %w", err)
	}
	return world, nil
}

// connectDemo points a run at the demo's clusters.
func connectDemo(cfg *bench.Config, world *demo.Clusters, rawURL string) error {
	west, err := demoREST(world, demoWest)
	if err != nil {
		return err
	}
	east, err := demoREST(world, demoEast)
	if err != nil {
		return err
	}
	if cfg.Local, err = mesh.Connect(west, demoWest); err != nil {
		return err
	}
	remote, err := mesh.Connect(east, demoEast)
	if err != nil {
		return err
	}
	cfg.REST = west
	cfg.Remotes = []mesh.Remote{{Client: remote}}
	cfg.Simulated = world.Simulated()
	cfg.Query = mesh.Query{Namespace: demoNamespace, Split: demoSplit, From: demoFrom, Container: demoContainer}
	cfg.Query.Port, err = portOf(rawURL, "")
	return err
}

func demoREST(world *demo.Clusters, contextName string) (*rest.Config, error) {
	config, err := clientcmd.Load(world.Kubeconfig())
	if err != nil {
		return nil, err
	}
	return clientcmd.NewNonInteractiveClientConfig(*config, contextName, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
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
	fmt.Fprintf(a.talk(), `splitbench: %s
splitbench: try:  kubectl -n %s get trafficsplits,pods,services
splitbench:       splitbench run %s --context %s --remote-context %s -n %s --from %s -c %s --rate 500
splitbench: until interrupted
`, world.Simulated(), demoNamespace, demoSplit, demoWest, demoEast, demoNamespace, demoFrom, demoContainer)
	<-ctx.Done()
	var sig *signalError
	if errors.As(context.Cause(ctx), &sig) {
		return exitCode(sig.code())
	}
	return nil
}
