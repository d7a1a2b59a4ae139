package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // logins of cloud providers
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// kubeFlags choose the cluster and namespace: kubectl's flags, with kubectl's meanings.
type kubeFlags struct {
	config *genericclioptions.ConfigFlags
	all    *pflag.FlagSet // of config
}

// commonKubeFlags are shown first. The others, which users of kubectl know, come last.
func commonKubeFlags() []string { return []string{"namespace", "context", "kubeconfig"} }

func (k *kubeFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	k.config, k.all = genericclioptions.NewConfigFlags(true), pflag.NewFlagSet("", pflag.ContinueOnError)
	k.config.AddFlags(k.all)
	for _, name := range commonKubeFlags() {
		flags.AddFlag(k.all.Lookup(name))
	}
}

func (k *kubeFlags) complete(*bench.Config) error { return nil }

// roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// logRequests logs what API servers are asked and answer.
func (k *kubeFlags) logRequests(log func(format string, args ...any)) {
	k.config.WrapConfigFn = func(c *rest.Config) *rest.Config {
		c.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				started := time.Now()
				answer, err := next.RoundTrip(r)
				said := "upgraded"
				if err != nil {
					said = err.Error()
				} else if answer != nil {
					said = answer.Status
				}
				log("%s %s: %s in %s", r.Method, r.URL.Redacted(), untrusted.Printable(said),
					time.Since(started).Round(time.Millisecond))
				return answer, err
			})
		})
		return c
	}
}

// kubectl are the other flags: how to connect and as whom.
func (k *kubeFlags) kubectl() section {
	return under("Connection, as for kubectl", bound(func(flags *pflag.FlagSet, _ *bench.Config) {
		k.all.VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(commonKubeFlags(), f.Name) {
				flags.AddFlag(f)
			}
		})
	}))
}

// connect turns the flags into clients. It makes no call yet.
func (k *kubeFlags) connect(cfg *bench.Config) error {
	raw, err := k.kubeconfig()
	if err != nil {
		return err
	}
	// client-go's own sentence about a context that is missing names no candidates.
	name := raw.CurrentContext
	if *k.config.Context != "" {
		name = *k.config.Context
		if _, ok := raw.Contexts[name]; !ok && len(raw.Contexts) == 0 {
			return k.noKubeconfig()
		} else if !ok {
			return fmt.Errorf("--context %q: the kubeconfig has no such context; %s", name, contextsOf(raw, name))
		}
	}
	if cfg.REST, err = k.config.ToRESTConfig(); err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	if len(raw.Contexts) == 0 && *k.config.APIServer == "" && cfg.REST.BearerTokenFile == "" {
		return k.noKubeconfig()
	}
	if cfg.Query.Namespace, _, err = k.config.ToRawKubeConfigLoader().Namespace(); err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	cfg.Local, err = mesh.Connect(cfg.REST, name)
	return err
}

func (k *kubeFlags) kubeconfig() (api.Config, error) {
	raw, err := k.config.ToRawKubeConfigLoader().RawConfig()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return raw, fmt.Errorf("--kubeconfig %q: there is no such file; name one, or leave it out for $KUBECONFIG or "+
			"~/.kube/config",
			*k.config.KubeConfig)
	case err != nil:
		return raw, fmt.Errorf("read kubeconfig: %w", err)
	}
	return raw, nil
}

// noKubeconfig names the files that were looked for: client-go takes none for an API server on localhost.
func (k *kubeFlags) noKubeconfig() error {
	var files []string
	for _, name := range k.config.ToRawKubeConfigLoader().ConfigAccess().GetLoadingPrecedence() {
		files = append(files, untrusted.Shell(name))
	}
	return fmt.Errorf("--kubeconfig: there is no context in %s, or no such file; name a kubeconfig with --kubeconfig, or "+
		"set KUBECONFIG", strings.Join(files, ", "))
}

// contextsOf says which contexts there are, and which of them may have been meant.
func contextsOf(raw api.Config, meant string) string {
	return law.Candidates(meant, "contexts in it", sorted(raw.Contexts))
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// clusterFlags choose the clusters and the client pod.
type clusterFlags struct {
	kubeFlags
	remotes []string
	own     *pflag.FlagSet
}

func (c *clusterFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	c.own = flags
	c.kubeFlags.register(flags, cfg)
	flags.StringArrayVar(&c.remotes, "remote-context", nil,
		"kubeconfig context of another cluster, as [CLUSTER=]CONTEXT; repeatable")
	q := &cfg.Query
	flags.StringVar(&q.From, "from", "", "where to send requests from: deploy/NAME, sts/NAME, ds/NAME or pod/NAME")
	flags.StringVarP(&q.Selector, "selector", "l", "", "label selector of the one pod to send from, instead of --from")
	flags.StringVarP(&q.Container, "container", "c", "",
		"container to run in; default: the pod's default container, else the first that is not the proxy")
	flags.StringVar(&q.FromNamespace, "from-namespace", "", "namespace of the pod to send from; default: the split's")
}

// command is app.command for commands that read clusters: the cluster flags come first, kubectl's last.
func (c *clusterFlags) command(
	a *app, cmd *cobra.Command, cfg *bench.Config, work func(context.Context, []string) error, sections ...section,
) *cobra.Command {
	closing := func(ctx context.Context, args []string) error {
		defer cfg.Close()
		return work(ctx, args)
	}
	return c.completions(a.command(cmd, cfg, closing, c.around(sections)...))
}

func (c *clusterFlags) around(sections []section) []section {
	return slices.Concat([]section{under("Clusters and client pod", c)}, sections, []section{c.kubectl()})
}

func hasSource(q mesh.Query) bool { return q.From != "" || q.Selector != "" }

// sender is a command that sends requests from a pod and reports on the answers.
type sender struct {
	cluster clusterFlags
	result  resultFlags
}

// command is clusterFlags.command for commands that measure one split with do.
func (s *sender) command(
	a *app, cmd *cobra.Command, cfg *bench.Config, do func(context.Context) (report.Report, error), sections ...section,
) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = oneSplit, s.cluster.completeSplits
	work := func(ctx context.Context, args []string) error {
		if err := s.cluster.prepareSource(cfg, args); err != nil {
			return err
		}
		return a.measure(ctx, cfg, s.result, do)
	}
	return s.cluster.command(a, cmd, cfg, work, sections...)
}

// prepareSource prepares a command that sends, and so needs a pod.
func (c *clusterFlags) prepareSource(cfg *bench.Config, args []string) error {
	if !hasSource(cfg.Query) {
		return errors.New("--from: name the pod that requests come from, such as deploy/frontend, or select one with -l")
	}
	return c.prepare(cfg, args)
}

// prepare connects to all clusters, and takes the split from the arguments.
func (c *clusterFlags) prepare(cfg *bench.Config, args []string) error {
	if err := c.connect(cfg); err != nil {
		return err
	}
	raw, err := c.kubeconfig()
	if err != nil {
		return err
	}
	for _, r := range c.remotes {
		clusterName, contextName, named := strings.Cut(r, "=")
		if !named {
			clusterName, contextName = "", r
		}
		if _, ok := raw.Contexts[contextName]; !ok {
			return fmt.Errorf("--remote-context %q: the kubeconfig has no context %q; %s",
				r, contextName, contextsOf(raw, contextName))
		}
		remote := genericclioptions.NewConfigFlags(true)
		remote.KubeConfig, remote.Context = c.config.KubeConfig, &contextName
		remote.WrapConfigFn = c.config.WrapConfigFn
		rest, err := remote.ToRESTConfig()
		if err != nil {
			return fmt.Errorf("--remote-context %q: %w", r, err)
		}
		// Who one acts as holds for every cluster; how to reach and log in to one is its own context's.
		rest.Impersonate, rest.Timeout = cfg.REST.Impersonate, cfg.REST.Timeout
		client, err := mesh.Connect(rest, contextName)
		if err != nil {
			return err
		}
		cfg.Remotes = append(cfg.Remotes, mesh.Remote{Cluster: clusterName, Client: client})
	}
	cfg.Query.Split = cmp.Or(strings.Join(args, "/"), cfg.Query.Split)
	for i, r := range cfg.Remotes {
		cfg.Remotes[i].Client.Grant = grant(r.Client.Context, cfg.Query, "--remote")
	}
	c.grant(cfg)
	cfg.Query.Teller = bench.NewTeller(cfg.REST, cfg.Protocol)
	return nil
}

// grant sets the command that grants what a run needs in the client's cluster.
func (c *clusterFlags) grant(cfg *bench.Config, more ...string) {
	for _, name := range []string{"from", "selector", "from-namespace"} {
		if f := c.own.Lookup(name); f.Changed {
			more = append(more, "--"+name, f.Value.String())
		}
	}
	if cfg.Query.Runners {
		more = append(more, "--runners")
	}
	cfg.Local.Grant = grant(cfg.Local.Context, cfg.Query, more...)
}

// grant is the command that grants what a run needs in the cluster of a context.
func grant(context string, q mesh.Query, more ...string) string {
	words := []string{"splitbench", "rbac", "run"}
	if q.Split != "" {
		words = append(words, q.Split)
	}
	apply := []string{"kubectl"}
	if context != "" {
		words, apply = append(words, "--context", context), append(apply, "--context", context)
	}
	words = append(append(words, "-n", q.Namespace), more...)
	return untrusted.Shell(words...) + " | " + untrusted.Shell(append(apply, "apply", "-f", "-")...)
}

// lawFlag is the flag of where the law is had from.
func lawFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	choose(flags, "law", string(law.UseAuto),
		"which law shares are judged by: told (what Linkerd's control plane tells the client's proxy, or its Envoy or "+
			"Traefik holds), objects (worked out of the objects alone), or auto (told where it can be had)",
		&cfg.Query.Use, law.UseAuto, law.UseTold, law.UseObjects)
}
