package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
)

// ClassifyRule is one --classify of the user: answers that match are the backend's.
type ClassifyRule struct {
	Backend string
	Rule    attack.Rule // its Backend index is set when the backends are known
	Text    string      // as given
}

// ParseClassify reads BACKEND=KIND:KEY=VALUE, or BACKEND=KIND:KEY where the kind has no values.
func ParseClassify(s string) (ClassifyRule, error) {
	const form = "want BACKEND=json:POINTER=VALUE, BACKEND=proto:/NUMBER=VALUE, BACKEND=header:NAME=VALUE, " +
		"BACKEND=regexp:EXPRESSION or BACKEND=literal:TEXT"
	backend, rest, ok := strings.Cut(s, "=")
	kind, key, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || backend == "" || key == "" {
		return ClassifyRule{}, fmt.Errorf("--classify %q: %s", s, form)
	}
	rule := attack.Rule{Kind: attack.RuleKind(kind), Key: key}
	if rule.Kind != attack.RuleRegexp && rule.Kind != attack.RuleLiteral {
		k, v, ok := strings.Cut(key, "=")
		if !ok || k == "" || v == "" {
			return ClassifyRule{}, fmt.Errorf("--classify %q: %s", s, form)
		}
		rule.Key, rule.Values = k, []string{v}
	}
	if _, err := attack.NewClassifier([]attack.Rule{rule}); err != nil {
		return ClassifyRule{}, fmt.Errorf("--classify %q: %w", s, err)
	}
	return ClassifyRule{Backend: backend, Rule: rule, Text: s}, nil
}

// UserRules numbers the user's rules. Every backend must have one, but for those that are told by their status: an
// answer that no rule names is unattributed.
func UserRules(rules []ClassifyRule, w analyze.Weights, told record.ProxyAnswers) ([]attack.Rule, error) {
	var out []attack.Rule
	covered := make([]bool, len(w))
	for _, i := range told {
		if i >= 0 {
			covered[i] = true
		}
	}
	for _, r := range rules {
		i := slices.IndexFunc(w, func(x analyze.Weight) bool { return x.Backend == r.Backend })
		if i < 0 {
			return nil, fmt.Errorf("--classify %q: the split has no backend %q; it has %s", r.Text, r.Backend,
				strings.Join(record.BackendNames(w), ", "))
		}
		covered[i] = true
		rule := r.Rule
		rule.Backend = i
		out = append(out, rule)
	}
	for i, ok := range covered {
		if !ok && len(rules) > 0 && w[i].W > 0 {
			return nil, fmt.Errorf("--classify: no rule for backend %q: name how its answers look too", w[i].Backend)
		}
	}
	return out, nil
}
