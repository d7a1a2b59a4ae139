package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/store"
)

// completionLimit bounds what a tab key may wait for a cluster.
const completionLimit = 2 * time.Second

func newCompletion(_ *app) *cobra.Command {
	var install string
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell|kubectl",
		Short: "Print the completion script of a shell",
		Long: `completion prints the script by which a shell completes splitbench. kubectl completes its plugins by a
program named kubectl_complete-splitbench on the PATH; "completion kubectl --install" makes that name, a link to this
program.`,
		Example: `  source <(splitbench completion bash)
  splitbench completion kubectl --install`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell", "kubectl"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("install") && args[0] != "kubectl" {
				return fmt.Errorf("--install: only kubectl needs a program for it; source the script of %s", args[0])
			}
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
			case "kubectl":
				if !cmd.Flags().Changed("install") {
					return fmt.Errorf("completion kubectl: kubectl reads no script: say --install to make the link %s on the PATH",
						kubectlComplete)
				}
				return installKubectlCompletion(w, install)
			}
			return fmt.Errorf("completion %q: want bash, zsh, fish, powershell or kubectl", args[0])
		},
	}
	cmd.Flags().StringVar(&install, "install", "",
		"folder on the PATH to make the link in; without a value, where this program lies")
	cmd.Flags().Lookup("install").NoOptDefVal = beside
	return cmd
}

// kubectlComplete is the program that kubectl asks for completions of this plugin (kubectl 1.26 and later).
const kubectlComplete = "kubectl_complete-splitbench"

// beside stands for the folder of this program.
const beside = "."

// asCompletion turns a call by kubectl's name for it into cobra's own; other calls stay as they are.
func asCompletion(args []string) []string {
	if strings.TrimSuffix(filepath.Base(args[0]), ".exe") != kubectlComplete {
		return args
	}
	return append([]string{args[0], cobra.ShellCompRequestCmd}, args[1:]...)
}

func installKubectlCompletion(w io.Writer, dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("--install: find this program: %w", err)
	}
	if dir == beside {
		dir = filepath.Dir(exe)
	}
	link := filepath.Join(dir, kubectlComplete)
	if have, err := os.Readlink(link); err == nil && have == exe {
		_, err := fmt.Fprintf(w, "%s is there already\n", link)
		return err
	}
	if err := os.Symlink(exe, link); err != nil {
		return fmt.Errorf("--install: %w; nothing was overwritten", err)
	}
	_, err = fmt.Fprintf(w, "%s was made; kubectl finds it if %s is on the PATH\n", link, dir)
	return err
}

// quietly offers the candidates that begin with the prefix. A cluster that does not answer or allow gives none, and
// never an error.
func quietly(candidates func(ctx context.Context, args []string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		names, err := candidates(ctx, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// askCluster completes from what a cluster has.
func (k *kubeFlags) askCluster(ask func(context.Context, mesh.Client, string) ([]string, error)) cobra.CompletionFunc {
	return quietly(func(ctx context.Context, _ []string) ([]string, error) {
		var cfg bench.Config
		if err := k.connect(&cfg); err != nil {
			return nil, err
		}
		return ask(ctx, cfg.Local, cfg.Query.Namespace)
	})
}

func (k *kubeFlags) completeSplits(
	cmd *cobra.Command, args []string, prefix string,
) ([]string, cobra.ShellCompDirective) {
	return first(k.askCluster(mesh.Splits))(cmd, args, prefix)
}

// first completes the first argument alone.
func first(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}

// completions registers what the flags can be completed with.
func (k *kubeFlags) completions(cmd *cobra.Command) *cobra.Command {
	contexts := quietly(func(context.Context, []string) ([]string, error) {
		raw, err := k.kubeconfig()
		return sorted(raw.Contexts), err
	})
	namespaces := k.askCluster(func(ctx context.Context, c mesh.Client, _ string) ([]string, error) {
		return mesh.Namespaces(ctx, c)
	})
	for flag, f := range map[string]cobra.CompletionFunc{
		"context": contexts, "remote-context": contexts, "namespace": namespaces,
	} {
		if cmd.Flags().Lookup(flag) == nil {
			continue // not every command has all of them
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
			panic(err) // a flag of this name does not exist: a bug of this file
		}
	}
	return cmd
}

// completeRuns offers stored runs for the first argument.
func completeRuns(dir *string) cobra.CompletionFunc { return first(completeMoreRuns(dir)) }

// completeMoreRuns offers stored runs and their aliases for every argument, each once.
func completeMoreRuns(dir *string) cobra.CompletionFunc {
	return quietly(func(_ context.Context, args []string) ([]string, error) {
		folders, err := store.List(*dir)
		if err != nil {
			return nil, err
		}
		names := []string{"latest"}
		for _, f := range folders {
			names = append(names, f.ID)
		}
		return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) }), nil
	})
}
