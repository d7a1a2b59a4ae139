package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
)

// roleOf maps commands to the one whose reads they share; "" reads no cluster.
//
//nolint:gochecknoglobals // a table that never changes
var roleOf = map[string]string{
	"check": mesh.CommandCheck, "plan": mesh.CommandPlan, "run": mesh.CommandRun, "convert": mesh.CommandConvert,
	"latency": mesh.CommandRun, "drill": mesh.CommandRun, "watch": mesh.CommandRun,
	"config":  "",
	"analyze": "", "report": "", "results": "", "demo": "", "explain": "", "attack": "", "serve": "", "selftest": "",
	"rbac": "", "version": "", "completion": "", "mark": "",
}

// rbacCommand holds the flags of `rbac`.
type rbacCommand struct {
	*app
	cfg                       bench.Config
	cluster                   clusterFlags
	remote, required, offline bool
	everywhere                bool
	name                      string
	user, group, account      string
	output                    form
}

func newRBAC(a *app) *cobra.Command {
	c := &rbacCommand{app: a}
	cmd := &cobra.Command{
		Use:   "rbac COMMAND|view [SPLIT]",
		Short: "Print the minimal role that a command needs",
		Long: `rbac prints the Role, ClusterRole and bindings that a command needs in the client's cluster, or with --remote
in a cluster that a mirror leads to, ready to apply. Without a rule that is marked optional, the command only warns.
"rbac view" prints a ClusterRole that lets holders of the role view read splits too.

The cluster is only asked which kinds it serves; --offline assumes all kinds. Whoever may run commands in a pod
(create on pods/exec) can read that pod's secrets.`,
		Example: `  splitbench rbac run ts/podinfo -n test --from deploy/frontend | kubectl apply -f -
  splitbench rbac run ts/podinfo --context east -n test --remote --for-user auditor
  splitbench rbac check ts/podinfo -n test --from deploy/frontend --offline --required-only
  splitbench rbac view`,
		Args: cobra.RangeArgs(1, 3),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return append(sorted(roleOf), "view"), cobra.ShellCompDirectiveNoFileComp
			}
			return c.cluster.completeSplits(cmd, args[1:], prefix)
		},
	}
	return c.cluster.completions(a.command(cmd, &c.cfg, c.print,
		under("Clusters and client pod", &c.cluster, bound(throughFlag)),
		under("Roles", bound(c.roleFlags), outputFlag(&c.output, "yaml", "json", "name")),
		c.cluster.kubectl(),
	))
}

func (c *rbacCommand) roleFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVar(&c.remote, "remote", false, "the role for the cluster that a mirror leads to, instead of the client's")
	flags.BoolVarP(&c.everywhere, "all-namespaces", "A", false,
		"a ClusterRole for all namespaces, as check -A and watch -A need")
	flags.BoolVar(&c.required, "required-only", false, "leave out what a command works without")
	flags.BoolVar(&c.offline, "offline", false, "do not ask a cluster which kinds it serves: rules for all of them")
	flags.BoolVar(&c.cfg.Query.Runners, "runners", false, "also for runner pods, as of run --runners")
	flags.StringVar(&c.name, "name", "", "name of the roles; default: splitbench-COMMAND")
	flags.StringVar(&c.account, "service-account", "",
		"[NAMESPACE/]NAME to bind the roles to; default: splitbench in the split's namespace")
	flags.StringVar(&c.user, "for-user", "", "user to bind the roles to")
	flags.StringVar(&c.group, "for-group", "", "group to bind the roles to")
}

func (c *rbacCommand) print(ctx context.Context, args []string) error {
	if args[0] == "view" {
		return c.printObjects(law.ViewRoleYAML())
	}
	command, ok := roleOf[args[0]]
	if !ok {
		return fmt.Errorf("rbac %q: no such command; %s", args[0],
			law.Candidates(args[0], "commands", append(sorted(roleOf), "view")))
	}
	if command == "" {
		c.say("%s reads no cluster: it needs no role", args[0])
		return nil
	}
	if c.everywhere && len(args) > 1 {
		return fmt.Errorf("rbac %s %s -A: name the split, or give -A for all", args[0], args[1])
	}
	to, err := c.subject()
	if err != nil {
		return err
	}
	needs, err := c.needs(ctx, command, args[1:])
	if err != nil {
		return err
	}
	if c.everywhere {
		needs = law.Everywhere(needs, c.cfg.Query.Namespace)
	}
	if len(needs) == 0 {
		c.say("%s needs nothing there", args[0])
		return nil
	}
	if to.Kind == "ServiceAccount" {
		to.Namespace = cmp.Or(to.Namespace, c.cfg.Query.Namespace)
	}
	text, err := law.RoleYAML(cmp.Or(c.name, "splitbench-"+args[0]), needs, to, !c.required)
	if err != nil {
		return fmt.Errorf("rbac: %w", err)
	}
	return c.printObjects(text)
}

// printObjects prints objects as they stand, with their comments, or what they are.
func (c *rbacCommand) printObjects(text string) error {
	var objects []map[string]any
	for part := range strings.SplitSeq(text, "---\n") {
		o := map[string]any{}
		if err := yaml.Unmarshal([]byte(part), &o); err != nil {
			return fmt.Errorf("rbac: %w", err) // a bug
		}
		if len(o) > 0 {
			objects = append(objects, o)
		}
	}
	d := objectsDocument(objects)
	d["yaml"] = func(w io.Writer) error { return writeTo(w, text) }
	return c.write(c.output, d)
}

func (c *rbacCommand) needs(ctx context.Context, command string, args []string) ([]law.Access, error) {
	q := &c.cfg.Query
	q.Use = law.UseAuto
	if c.offline {
		q.Namespace = cmp.Or(*c.cluster.config.Namespace, "default")
		q.Split = strings.Join(args, "/")
		return mesh.Needs(ctx, nil, command, *q, c.remote)
	}
	if err := c.cluster.prepare(&c.cfg, args); err != nil {
		return nil, err
	}
	needs, err := mesh.Needs(ctx, &c.cfg.Local, command, *q, c.remote)
	if err != nil {
		return needs, err
	}
	for _, ns := range mesh.Missing(ctx, c.cfg.Local, needs) {
		c.warn("note: there is no namespace %s, so no role is printed for it", ns)
		needs = slices.DeleteFunc(needs, func(a law.Access) bool { return a.Namespace == ns })
	}
	return needs, nil
}

func (c *rbacCommand) subject() (law.Subject, error) {
	given := 0
	for _, s := range []string{c.user, c.group, c.account} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return law.Subject{}, fmt.Errorf("--for-user, --for-group, --service-account: bind the roles to one of them")
	case c.user != "":
		return law.Subject{Kind: "User", Name: c.user}, nil
	case c.group != "":
		return law.Subject{Kind: "Group", Name: c.group}, nil
	case c.account == "":
		return law.Subject{Kind: "ServiceAccount", Name: "splitbench"}, nil
	}
	ns, name, ok := strings.Cut(c.account, "/")
	if !ok {
		ns, name = "", c.account
	}
	return law.Subject{Kind: "ServiceAccount", Namespace: ns, Name: name}, nil
}
