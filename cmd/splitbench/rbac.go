package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// roleOf maps commands to the one whose reads they share; "" reads no cluster.
//
//nolint:gochecknoglobals // a table that never changes
var roleOf = map[string]string{
	"check": mesh.CommandCheck, "plan": mesh.CommandPlan, "run": mesh.CommandRun, "convert": mesh.CommandConvert,
	"latency": mesh.CommandRun, "drill": mesh.CommandRun, "watch": mesh.CommandRun,
	"analyze": "", "report": "", "results": "", "demo": "", "explain": "", "attack": "", "serve": "", "selftest": "", "rbac": "", "version": "", "completion": "", "mark": "",
}

func rbacCommand(a *app) *cobra.Command {
	var (
		c                    cluster
		remote, required     bool
		name                 string
		user, group, account string
	)
	cmd := &cobra.Command{
		Use:   "rbac COMMAND|view [SPLIT]",
		Short: "Print the least role that a command needs",
		Long: `rbac prints the Role, ClusterRole and their bindings that a command needs in the client's cluster, or with --remote in
a cluster that a mirror leads to, ready to apply. Rules marked optional cost a warning where they are missing. "rbac view"
prints a ClusterRole that lets holders of the role view read splits too.

The cluster is asked which kinds it serves, and nothing else; with --offline all kinds are taken to be there. Who may run
commands in a pod (create on pods/exec) can read that pod's secrets.`,
		Example: `  splitbench rbac run ts/podinfo --context west -n test --from deploy/frontend | kubectl --context west apply -f -
  splitbench rbac run ts/podinfo --context east -n test --remote --for-user auditor
  splitbench rbac check ts/podinfo -n test --from deploy/frontend --offline --required-only
  splitbench rbac view`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: append(sorted(roleOf), "view"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "view" {
				_, err := fmt.Fprint(a.stdout, law.ViewRoleYAML())
				return err
			}
			command, ok := roleOf[args[0]]
			if !ok {
				return fmt.Errorf("rbac %q: no such command; there are: %s, view", args[0], strings.Join(sorted(roleOf), ", "))
			}
			if command == "" {
				fmt.Fprintf(a.talk(), "splitbench: %s reads no cluster: it needs no role\n", args[0])
				return nil
			}
			to, err := subjectOf(user, group, account)
			if err != nil {
				return err
			}
			offline, _ := cmd.Flags().GetBool("offline")
			needs, namespace, err := needsOf(cmd, &c, command, args[1:], remote, offline)
			if err != nil {
				return err
			}
			if to.Kind == "ServiceAccount" && to.Namespace == "" {
				to.Namespace = namespace
			}
			if name == "" {
				name = "splitbench-" + args[0]
			}
			if len(needs) == 0 {
				fmt.Fprintf(a.talk(), "splitbench: %s needs nothing there\n", args[0])
				return nil
			}
			text, err := law.RoleYAML(name, needs, to, !required)
			if err != nil {
				return fmt.Errorf("rbac: %w", err)
			}
			_, err = fmt.Fprint(a.stdout, text)
			return err
		},
	}
	c.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&remote, "remote", false, "the role for the cluster that a mirror leads to, in place of the client's")
	flags.BoolVar(&required, "required-only", false, "leave out what a command works without")
	flags.Bool("offline", false, "ask no cluster which kinds it serves: rules for all of them")
	flags.StringVar(&name, "name", "", "name of the roles; default: splitbench-COMMAND")
	flags.StringVar(&account, "service-account", "", "[NAMESPACE/]NAME that the roles are bound to; default: splitbench in the split's namespace")
	flags.StringVar(&user, "for-user", "", "user that the roles are bound to")
	flags.StringVar(&group, "for-group", "", "group that the roles are bound to")
	hideRare(flags)
	return cmd
}

func needsOf(cmd *cobra.Command, c *cluster, command string, args []string, remote, offline bool) ([]law.Access, string, error) {
	var q mesh.Query
	var asked *mesh.Client
	if offline {
		q.Namespace, q.FromNamespace = *c.config.Namespace, c.fromNamespace
		if q.Namespace == "" {
			q.Namespace = "default"
		}
		q.From, q.Selector, q.Container, q.Through = c.from, c.selector, c.container, c.through
		if len(args) > 0 {
			q.Split = args[0]
		}
	} else {
		var cfg bench.Config
		if err := c.prepare(&cfg, args); err != nil {
			return nil, "", err
		}
		q, asked = cfg.Query, &cfg.Local
	}
	needs, err := mesh.Needs(cmd.Context(), asked, command, q, remote)
	if err != nil || asked == nil {
		return needs, q.Namespace, err
	}
	for _, ns := range mesh.Missing(cmd.Context(), *asked, needs) {
		fmt.Fprintf(cmd.ErrOrStderr(), "splitbench: note: there is no namespace %s, so no role is printed for it\n", untrusted.Safe(ns))
		needs = slices.DeleteFunc(needs, func(a law.Access) bool { return a.Namespace == ns })
	}
	return needs, q.Namespace, nil
}

func subjectOf(user, group, account string) (law.Subject, error) {
	given := 0
	for _, s := range []string{user, group, account} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return law.Subject{}, fmt.Errorf("--for-user, --for-group, --service-account: bind the roles to one of them")
	case user != "":
		return law.Subject{Kind: "User", Name: user}, nil
	case group != "":
		return law.Subject{Kind: "Group", Name: group}, nil
	case account == "":
		return law.Subject{Kind: "ServiceAccount", Name: "splitbench"}, nil
	}
	ns, name, ok := strings.Cut(account, "/")
	if !ok {
		ns, name = "", account
	}
	return law.Subject{Kind: "ServiceAccount", Namespace: ns, Name: name}, nil
}
