package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // logins of cloud providers

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
)

// cluster are the flags that say which clusters, namespace and source pod: kubectl's, with kubectl's meanings.
type cluster struct {
	config                             *genericclioptions.ConfigFlags
	remotes                            []string
	from, selector, container, through string
	fromNamespace                      string
}

func (c *cluster) add(cmd *cobra.Command) {
	c.config = genericclioptions.NewConfigFlags(true)
	flags := cmd.Flags()
	c.config.AddFlags(flags)
	flags.StringArrayVar(&c.remotes, "remote-context", nil, "kubeconfig context of another cluster, as [CLUSTER=]CONTEXT; repeatable")
	flags.StringVar(&c.from, "from", "", "where requests come from: deploy/NAME, sts/NAME, ds/NAME or pod/NAME")
	flags.StringVar(&c.fromNamespace, "from-namespace", "", "namespace of the pod that requests come from, where it is not the split's")
	flags.StringVarP(&c.selector, "selector", "l", "", "label selector of the one pod that requests come from, in place of --from")
	flags.StringVarP(&c.container, "container", "c", "", "container to run in; else the pod's default, else the first that is not the proxy")
	flags.StringVar(&c.through, "through", "", "svc/NAME whose pods draw the backend, where the requests do not go to the root Service itself")
	c.complete(cmd)
}

// addConnection adds the flags that say which cluster and namespace, for commands that have no client pod.
func (c *cluster) addConnection(cmd *cobra.Command) {
	c.config = genericclioptions.NewConfigFlags(true)
	c.config.AddFlags(cmd.Flags())
	c.complete(cmd)
}

// connect turns the flags into clients. It makes no call yet.
func (c *cluster) connect(cfg *bench.Config) error {
	rest, err := c.config.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	raw, err := c.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	name := raw.CurrentContext
	if *c.config.Context != "" {
		name = *c.config.Context
	}
	if cfg.Query.Namespace, _, err = c.config.ToRawKubeConfigLoader().Namespace(); err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	if cfg.Local, err = mesh.Connect(rest, name); err != nil {
		return err
	}
	cfg.REST = rest
	for _, r := range c.remotes {
		clusterName, contextName, named := strings.Cut(r, "=")
		if !named {
			clusterName, contextName = "", r
		}
		if _, ok := raw.Contexts[contextName]; !ok {
			return fmt.Errorf("--remote-context %q: the kubeconfig has no context %q; it has %s", r, contextName, strings.Join(sorted(raw.Contexts), ", "))
		}
		remote := genericclioptions.NewConfigFlags(true)
		remote.KubeConfig, remote.Context = c.config.KubeConfig, &contextName
		remoteREST, err := remote.ToRESTConfig()
		if err != nil {
			return fmt.Errorf("--remote-context %q: %w", r, err)
		}
		// Who one acts as holds for every cluster; how to reach and log in to one is its own context's.
		remoteREST.Impersonate, remoteREST.Timeout = rest.Impersonate, rest.Timeout
		client, err := mesh.Connect(remoteREST, contextName)
		if err != nil {
			return err
		}
		cfg.Remotes = append(cfg.Remotes, mesh.Remote{Cluster: clusterName, Client: client})
	}
	cfg.Query.FromNamespace = c.fromNamespace
	cfg.Query.From, cfg.Query.Selector, cfg.Query.Container, cfg.Query.Through = c.from, c.selector, c.container, c.through
	return nil
}

// contextOf fails early for a context that is not there: client-go's own sentence names no candidates.
func (c *cluster) checkContext() error {
	raw, err := c.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	want := *c.config.Context
	if want == "" {
		return nil
	}
	if _, ok := raw.Contexts[want]; !ok {
		return fmt.Errorf("--context %q: the kubeconfig has no such context; it has %s", want, strings.Join(sorted(raw.Contexts), ", "))
	}
	return nil
}

// hideRare keeps the long tail of kubectl's connection flags out of the help: they work, and kubectl's users know them.
func hideRare(flags *pflag.FlagSet) {
	for _, name := range []string{
		"as", "as-group", "as-uid", "as-user-extra", "cache-dir", "certificate-authority", "client-certificate", "client-key",
		"cluster", "disable-compression", "insecure-skip-tls-verify", "request-timeout", "server", "tls-server-name", "token", "user",
	} {
		if f := flags.Lookup(name); f != nil {
			f.Hidden = true
		}
	}
}
