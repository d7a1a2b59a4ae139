package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	authorization "k8s.io/api/authorization/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// auditor is whom a command's roles are bound to. It has nothing else.
func auditor(command string) string { return "splitbench-auditor-" + command }

// role is one Role or ClusterRole that rbac printed, in its cluster.
type role struct {
	clients               kubernetes.Interface
	context, user         string
	kind, namespace, name string
	rules                 []rbac.PolicyRule
	optional              []bool // by rule, as the comment beside it says
}

// kubectl runs kubectl with stdin and fails the test if it fails.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // cleanups run after the test's own context
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s\n%s", args, err, out, stdin)
	}
	return string(out)
}

// grant applies what rbac prints for a command in both clusters, takes it away in the end, and gives the roles.
func (l lab) grant(t *testing.T, command string, args ...string) []role {
	t.Helper()
	var roles []role
	for _, side := range []struct {
		context string
		more    []string
	}{{l.west, nil}, {l.east, []string{"--remote"}}} {
		a := []string{"rbac", command, "--context", side.context, "-n", namespace, "--for-user", auditor(command)}
		if !slices.Contains(args, "-A") {
			a = append(a, "ts/podinfo")
		}
		e := l.do(t, t.TempDir(), slices.Concat(a, args, side.more)...)
		if e.code != 0 {
			t.Fatalf("rbac %s: exit %d\n%s", command, e.code, e.stderr)
		}
		if e.stdout == "" {
			continue
		}
		t.Cleanup(func() {
			kubectl(t, e.stdout, "--context", side.context, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
		})
		kubectl(t, e.stdout, "--context", side.context, "apply", "-f", "-")
		roles = append(roles, parseRoles(t, side.context, auditor(command), e.stdout)...)
	}
	return roles
}

func parseRoles(t *testing.T, context, user, text string) (roles []role) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(restConfig(t, context))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(text, "---\n") {
		var r rbac.ClusterRole // a Role has the same fields
		if err := yaml.UnmarshalStrict([]byte(doc), &r); err != nil || !strings.HasSuffix(r.Kind, "Role") {
			continue
		}
		out := role{clients: clients, context: context, user: user, kind: r.Kind, namespace: r.Namespace, name: r.Name, rules: r.Rules}
		for line := range strings.Lines(doc) {
			if strings.HasPrefix(line, "- {") {
				out.optional = append(out.optional, strings.Contains(line, "# optional: "))
			}
		}
		if len(out.optional) != len(out.rules) {
			t.Fatalf("%d rules, %d lines of rules in\n%s", len(out.rules), len(out.optional), doc)
		}
		roles = append(roles, out)
	}
	return roles
}

// write makes the role in its cluster what rules say, and waits until the API server goes by it: authorizers follow a watch.
func (r role) write(t *testing.T, rules []rbac.PolicyRule, probe rbac.PolicyRule, allowed bool) {
	t.Helper()
	var err error
	if r.kind == "Role" {
		role := &rbac.Role{ObjectMeta: meta.ObjectMeta{Name: r.name}, Rules: rules}
		_, err = r.clients.RbacV1().Roles(r.namespace).Update(t.Context(), role, meta.UpdateOptions{})
	} else {
		role := &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: r.name}, Rules: rules}
		_, err = r.clients.RbacV1().ClusterRoles().Update(t.Context(), role, meta.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("write %s %s in %s: %v", r.kind, r.name, r.context, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for r.allows(ctx, t, probe) != allowed {
	}
}

// allows reports whether the API server lets the role's user do what the rule permits.
func (r role) allows(ctx context.Context, t *testing.T, rule rbac.PolicyRule) bool {
	t.Helper()
	resource, sub, _ := strings.Cut(rule.Resources[0], "/")
	asked := &authorization.ResourceAttributes{
		Namespace: r.namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: resource, Subresource: sub,
	}
	if len(rule.ResourceNames) > 0 {
		asked.Name = rule.ResourceNames[0]
	}
	review := &authorization.SubjectAccessReview{Spec: authorization.SubjectAccessReviewSpec{User: r.user, ResourceAttributes: asked}}
	review, err := r.clients.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, meta.CreateOptions{})
	if err != nil {
		t.Fatalf("whether %s may %s %s in %q of %s: %v", r.user, rule.Verbs[0], what(rule), r.namespace, r.context, err)
	}
	return review.Status.Allowed
}

// what is the resource of a rule as kubectl names it: pods/exec, deployments.apps/NAME.
func what(r rbac.PolicyRule) string {
	resource, sub, _ := strings.Cut(r.Resources[0], "/")
	if r.APIGroups[0] != "" {
		resource += "." + r.APIGroups[0]
	}
	if sub != "" {
		resource += "/" + sub
	}
	if len(r.ResourceNames) > 0 {
		resource += "/" + r.ResourceNames[0]
	}
	return resource
}

// names reports whether a text names the rule: as the API server says that it is missing, or as splitbench does.
func names(text string, r rbac.PolicyRule, namespace string) bool {
	text = strings.Join(strings.Fields(text), " ") // wrapped lines
	resource, sub, _ := strings.Cut(r.Resources[0], "/")
	ours := resource
	if r.APIGroups[0] != "" {
		ours += "." + r.APIGroups[0]
	}
	if sub != "" {
		ours += "/" + sub
	}
	where := "in all namespaces"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	return strings.Contains(text, fmt.Sprintf("%s %s is not allowed %s", r.Verbs[0], ours, where)) ||
		strings.Contains(text, fmt.Sprintf("%s on %s is not allowed %s", r.Verbs[0], r.Resources[0], where)) ||
		strings.Contains(text, fmt.Sprintf("cannot %s resource %q in API group %q in the namespace %q", r.Verbs[0], r.Resources[0], r.APIGroups[0], namespace))
}

// Each command works with exactly the role that rbac prints for it, and without any one of its rules it fails with a sentence
// that names the rule, or, where the rule is marked optional, works and warns of it by name.
func TestRolesAreSufficientAndMinimal(t *testing.T) {
	l := need(t)
	from := []string{"--from", "deploy/frontend"}
	// -q would hide warnings; 100 requests decide nothing, and a run that says so has worked.
	for _, c := range []struct {
		command  string
		role     []string // arguments of rbac besides
		args     []string
		worked   []int // exit codes
		noSource bool
	}{
		{command: "check", role: from, args: append([]string{"--remote-context", l.east, "-c", "nginx"}, from...), worked: []int{0}},
		{command: "plan", args: nil, worked: []int{0}},
		{command: "convert", args: nil, worked: []int{0}},
		{command: "run", role: from, args: append([]string{
			"--remote-context", l.east, "-c", "nginx", "--requests", "100", "--rate", "1000", "--fail-on", "invalid",
		}, from...), worked: []int{0}},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel() // each has roles and a user of its own
			args := append([]string{c.command, "ts/podinfo", "--context", l.west, "-n", namespace}, c.args...)
			asAuditor := append(args, "--as", auditor(c.command))
			// Nothing at all: the sentence names the first rule that is missing.
			if e := l.do(t, t.TempDir(), asAuditor...); e.code != 4 ||
				!strings.Contains(strings.Join(strings.Fields(e.stderr+e.stdout), " "), "cannot list resource") {
				t.Errorf("without a role: exit %d\n%s%s", e.code, e.stdout, e.stderr)
			}
			roles := l.grant(t, c.command, c.role...)
			last := roles[len(roles)-1]
			last.write(t, last.rules, last.rules[len(last.rules)-1], true) // waits until what was granted holds
			e := l.do(t, t.TempDir(), asAuditor...)
			if e.code != 0 {
				t.Fatalf("with its role: exit %d\n%s%s", e.code, e.stdout, e.stderr)
			}
			// The laboratory has no namespace linkerd, so no role could be applied there: its ConfigMaps stay unread.
			said := strings.Join(strings.Fields(e.stdout+e.stderr), " ")
			for i, part := range strings.Split(said, " is forbidden")[1:] {
				if before := strings.Split(said, " is forbidden")[i]; !strings.Contains(before[max(0, len(before)-60):], "configmaps ") {
					t.Errorf("with its role something is forbidden%s:\n%s", part[:min(len(part), 200)], e.stdout+e.stderr)
				}
			}
			for _, r := range roles {
				for i := range r.rules {
					l.withoutRule(t, r, i, asAuditor)
				}
			}
		})
	}
}

// withoutRule takes one rule away, runs the command and puts the rule back.
func (l lab) withoutRule(t *testing.T, r role, i int, args []string) {
	t.Helper()
	rule := r.rules[i]
	less := append(append([]rbac.PolicyRule{}, r.rules[:i]...), r.rules[i+1:]...)
	r.write(t, less, rule, false)
	e := l.do(t, t.TempDir(), args...)
	r.write(t, r.rules, rule, true)
	label := fmt.Sprintf("%s %s in %s of %s", rule.Verbs[0], what(rule), r.namespace, r.context)
	text := e.stdout + e.stderr
	if !names(text, rule, r.namespace) {
		t.Errorf("without %s: exit %d, and it is not named in\n%s", label, e.code, text)
	}
	if worked := e.code == 0; worked != r.optional[i] {
		t.Errorf("without %s, optional %v: exit %d\n%s", label, r.optional[i], e.code, text)
	}
}

// The view role is what the API server takes, and aggregates to view.
func TestViewRole(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), "rbac", "view")
	if e.code != 0 {
		t.Fatal(e.stderr)
	}
	t.Cleanup(func() { kubectl(t, e.stdout, "--context", l.west, "delete", "--ignore-not-found", "-f", "-") })
	kubectl(t, e.stdout, "--context", l.west, "apply", "-f", "-")
	binding := "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: splitbench-viewer, namespace: test}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects: [{kind: User, name: splitbench-viewer, apiGroup: rbac.authorization.k8s.io}]\n"
	t.Cleanup(func() { kubectl(t, binding, "--context", l.west, "delete", "--ignore-not-found", "-f", "-") })
	kubectl(t, binding, "--context", l.west, "apply", "-f", "-")
	deadline := time.Now().Add(20 * time.Second) // the controller that aggregates has to see it
	for {
		out, err := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "get", "trafficsplits", "--as", "splitbench-viewer", "-o", "name").CombinedOutput()
		if err == nil && strings.Contains(string(out), "podinfo") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a holder of view may not read splits: %v\n%s", err, out)
		}
	}
}
