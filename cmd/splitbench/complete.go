package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/store"
)

// completionLimit bounds what a tab key may wait for a cluster.
const completionLimit = 2 * time.Second

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print the completion script of a shell",
		Example:   `  source <(splitbench completion bash)`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return fmt.Errorf("completion %q: want bash, zsh, fish or powershell", args[0])
		},
	}
}

// completer gives candidates; a cluster that does not answer or allow gives none, and never an error.
type completer func(ctx context.Context) ([]string, error)

func quietly(cmd *cobra.Command, c completer, prefix string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	names, err := c(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), cobra.ShellCompDirectiveNoFileComp
}

func (c *cluster) completeSplits(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return quietly(cmd, func(ctx context.Context) ([]string, error) {
		var cfg bench.Config
		if err := c.connect(&cfg); err != nil {
			return nil, err
		}
		return mesh.Splits(ctx, cfg.Local, cfg.Query.Namespace)
	}, prefix)
}

// complete registers what the flags can be completed with.
func (c *cluster) complete(cmd *cobra.Command) {
	contexts := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		raw, err := genericclioptions.NewConfigFlags(true).ToRawKubeConfigLoader().RawConfig()
		if c.config != nil {
			raw, err = c.config.ToRawKubeConfigLoader().RawConfig()
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return sorted(raw.Contexts), cobra.ShellCompDirectiveNoFileComp
	}
	namespaces := func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return quietly(cmd, func(ctx context.Context) ([]string, error) {
			var cfg bench.Config
			if err := c.connect(&cfg); err != nil {
				return nil, err
			}
			return mesh.Namespaces(ctx, cfg.Local)
		}, prefix)
	}
	for flag, f := range map[string]cobra.CompletionFunc{"context": contexts, "remote-context": contexts, "namespace": namespaces} {
		if cmd.Flags().Lookup(flag) == nil {
			continue // not every command has all of them
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
			panic(err) // a flag of this name does not exist: a bug of this file
		}
	}
}

// completeRuns offers stored runs and their aliases.
func completeRuns(dir *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return quietly(cmd, func(context.Context) ([]string, error) {
			folders, err := store.List(*dir)
			if err != nil {
				return nil, err
			}
			names := []string{"latest"}
			for _, f := range folders {
				names = append(names, f.ID)
			}
			return names, nil
		}, prefix)
	}
}
