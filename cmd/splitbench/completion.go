package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
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
				return cmp.Or(root.GenBashCompletionV2(w, true), writeTo(w, withoutBashCompletion))
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

// withoutBashCompletion is what the script of bash needs of the package bash-completion, where that is not installed:
// the words of the line, whatever COMP_WORDBREAKS says.
const withoutBashCompletion = `
if ! declare -F _get_comp_words_by_ref >/dev/null && ! declare -F _init_completion >/dev/null; then
    _get_comp_words_by_ref() {
        local line=${COMP_LINE:0:COMP_POINT}
        read -ra words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        cword=$((${#words[@]} - 1)) cur=${words[-1]} prev=${words[-2]}
    }
    __ltrim_colon_completions() { :; }
fi
`

func writeTo(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
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

// quietly offers the candidates that begin with the prefix; behind a tab each may have a description. Variables hold
// here as they do for the command. A cluster that does not answer or allow gives none, and never an error.
func quietly(
	candidates func(ctx context.Context, cmd *cobra.Command, args []string) ([]string, error),
) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		if err := cmd.Root().PersistentPreRunE(cmd, args); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := candidates(ctx, cmd, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// askCluster completes from what a cluster has.
func (k *kubeFlags) askCluster(ask func(context.Context, mesh.Client, string) ([]string, error)) cobra.CompletionFunc {
	return quietly(func(ctx context.Context, cmd *cobra.Command, _ []string) ([]string, error) {
		var cfg bench.Config
		if err := k.connect(&cfg); err != nil {
			return nil, err
		}
		if f := cmd.Flags().Lookup("from-namespace"); f != nil && f.Value.String() != "" {
			cfg.Query.FromNamespace = f.Value.String()
		}
		return ask(ctx, cfg.Local, cmp.Or(cfg.Query.FromNamespace, cfg.Query.Namespace))
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

// completions registers what the flags that name objects of clusters can be completed with.
func (k *kubeFlags) completions(cmd *cobra.Command) *cobra.Command {
	contexts := quietly(func(context.Context, *cobra.Command, []string) ([]string, error) {
		raw, err := k.kubeconfig()
		return sorted(raw.Contexts), err
	})
	containers := func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		_, pod, _ := strings.Cut(cmd.Flag("from").Value.String(), "/")
		return k.askCluster(func(ctx context.Context, c mesh.Client, namespace string) ([]string, error) {
			return mesh.Containers(ctx, c, namespace, pod)
		})(cmd, args, prefix)
	}
	services := k.askCluster(mesh.Services)
	registerCompletions(cmd, map[string]cobra.CompletionFunc{
		"context": contexts, "remote-context": contexts, "from": k.askCluster(mesh.Sources), "container": containers,
		"through": services, "against": services,
		"namespace": k.askCluster(func(ctx context.Context, c mesh.Client, _ string) ([]string, error) {
			return mesh.Namespaces(ctx, c)
		}),
	})
	return cmd
}

// registerCompletions registers completions of those flags that the command has.
func registerCompletions(cmd *cobra.Command, of map[string]cobra.CompletionFunc) {
	for flag, f := range of {
		if cmd.Flags().Lookup(flag) == nil {
			continue // not every command has all of them
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
			panic(err) // it has been registered: a bug of this file
		}
	}
}

// completeFlags registers, for every command of the tree, what needs no cluster: the words that a flag takes, checks,
// stored runs and their labels.
func completeFlags(cmd *cobra.Command) {
	of := map[string]cobra.CompletionFunc{
		"baseline": quietly(storedRuns), "label": quietly(storedLabels), "ignore-check": quietly(checkIDs),
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if words := f.Annotations[offered]; words != nil {
			of[f.Name] = cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
		}
	})
	registerCompletions(cmd, of)
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

func checkIDs(context.Context, *cobra.Command, []string) (ids []string, _ error) {
	for _, c := range preflight.Checks() {
		ids = append(ids, c.ID+"\t"+c.Name)
	}
	return ids, nil
}

// completeRuns offers stored runs for the first argument.
func completeRuns() cobra.CompletionFunc { return first(quietly(storedRuns)) }

// describedRuns bounds how many of the newest runs are opened, and so hashed, for a tab key.
const describedRuns = 20

// storedRuns are the stored runs that the arguments do not name yet, with their outcomes, and their alias.
func storedRuns(_ context.Context, cmd *cobra.Command, args []string) ([]string, error) {
	folders, err := store.List(folderOf(cmd.Flags()))
	if err != nil {
		return nil, err
	}
	names := []string{"latest\tthe newest run"}
	for i, f := range folders {
		name := f.ID
		if i < describedRuns {
			line := lineOf(f)
			name += "\t" + untrusted.Safe(strings.TrimSpace(cmp.Or(line.Outcome, line.Status)+" "+line.Kind+" "+line.Split))
		}
		names = append(names, name)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		id, _, _ := strings.Cut(n, "\t")
		return slices.Contains(args, id)
	}), nil
}

// storedLabels are the labels of the newest runs.
func storedLabels(_ context.Context, cmd *cobra.Command, _ []string) (labels []string, _ error) {
	folders, err := store.List(folderOf(cmd.Flags()))
	if err != nil {
		return nil, err
	}
	for _, f := range folders[:min(describedRuns, len(folders))] {
		line := lineOf(f)
		for k, v := range line.Labels {
			labels = append(labels, untrusted.Safe(k+"="+v))
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels), nil
}
