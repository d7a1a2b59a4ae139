package splitbench_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/splitbench/splitbench"

// table is a parsed policy: for each thing that may be used, who may use it. lines keeps where that was said.
type table struct {
	users map[string][]string
	lines map[string]string
}

func (t table) names() []string {
	var names []string
	for n := range t.users {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// fit returns the longest name in the table that is p or a folder above it.
func (t table) fit(p string) (string, bool) {
	for ; p != "." && p != "/"; p = path.Dir(p) {
		if _, ok := t.users[p]; ok {
			return p, true
		}
	}
	return "", false
}

// under returns a predicate: is a path p itself, or below it?
func under(p string) func(string) bool {
	return func(s string) bool { return s == p || strings.HasPrefix(s, p+"/") }
}

// parseTable reads lines "a, b < c, d": c and d may use a and b.
func parseTable(text string) (table, error) {
	t := table{users: map[string][]string{}, lines: map[string]string{}}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		left, right, ok := strings.Cut(line, " < ")
		if !ok {
			return t, fmt.Errorf("policy line %q: want \"a < b\"", line)
		}
		for _, used := range split(left) {
			t.users[used] = append(t.users[used], split(right)...)
			t.lines[used] = line
		}
	}
	return t, nil
}

func split(list string) []string { return strings.Split(list, ", ") }

// rooms is the parsed roomPolicy: for each room, which rooms it may import, and the line that says so.
type rooms struct {
	mayImport map[string][]string
	lines     map[string]string
}

func isCommand(room string) bool { return strings.HasPrefix(room, "cmd/") }

func parseRooms(text string) (rooms, error) {
	r := rooms{mayImport: map[string][]string{}, lines: map[string]string{}}
	var above, all []string
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(text), ",\n", ", "), "\n")
	for _, line := range lines {
		_, right, ok := strings.Cut(line, " < ")
		if !ok {
			return r, fmt.Errorf("policy line %q: want \"a < b\"", line)
		}
		all = append(all, split(right)...)
	}
	library := func(among []string, but ...string) []string {
		return slices.DeleteFunc(slices.Clone(among), func(x string) bool { return isCommand(x) || slices.Contains(but, x) })
	}
	for _, line := range lines {
		left, right, _ := strings.Cut(line, " < ")
		left, except, _ := strings.Cut(left, " but ")
		var may []string
		switch left {
		case "NONE":
		case "every room above":
			may = library(above, split(except)...)
		case "every room":
			may = library(all, split(except)...)
		default:
			may = split(left)
		}
		for _, x := range may {
			if !slices.Contains(all, x) {
				return r, fmt.Errorf("policy line %q: %s has no line of its own", line, x)
			}
		}
		for _, room := range split(right) {
			if _, twice := r.lines[room]; twice {
				return r, fmt.Errorf("policy line %q: %s has two lines", line, room)
			}
			r.mayImport[room], r.lines[room] = may, line
		}
		above = append(above, split(right)...)
	}
	return r, nil
}

// reach is a line of reachPolicy: what a room must not come to by any path.
type reach struct {
	room   string
	banned []string
	line   string
}

// parseReach reads lines "a cannot reach b, c".
func parseReach(text string) (all []reach, err error) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		room, banned, ok := strings.Cut(line, " cannot reach ")
		if !ok {
			return nil, fmt.Errorf("policy line %q: want \"a cannot reach b, c\"", line)
		}
		all = append(all, reach{room: room, banned: split(banned), line: line})
	}
	return all, nil
}

// policy is all tables.
type policy struct {
	rooms   rooms
	reach   []reach
	modules table
	words   table
	sayOnly map[string]string
}

func mustPolicy(t *testing.T) policy {
	t.Helper()
	p := policy{sayOnly: sayOnly}
	var errs [4]error
	p.rooms, errs[0] = parseRooms(roomPolicy)
	p.reach, errs[1] = parseReach(reachPolicy)
	p.modules, errs[2] = parseTable(modulePolicy)
	p.words, errs[3] = parseTable(wordPolicy)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return p
}

// source is one Go file of the tree.
type source struct {
	path string // from the root, with slashes
	fset *token.FileSet
	file *ast.File
}

func (s source) room() string { return path.Dir(s.path) }

func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.HasPrefix(s.path, "test/")
}

func (s source) at(p token.Pos) string { return fmt.Sprintf("%s:%d", s.path, s.fset.Position(p).Line) }

func parseSource(name string, content any) (source, error) {
	s := source{path: name, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// readTree parses every Go file of this module, whatever its build constraints. Folders with a go.mod of their own are
// other modules.
func readTree(root string) (sources []source, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			_, statErr := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") ||
				strings.HasPrefix(base, "_") || statErr == nil) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parseSource(filepath.ToSlash(name), content)
		sources = append(sources, s)
		return err
	})
	return sources, err
}

const isPolicy = "This is policy, not a switch: do not edit the table to make a build pass. " +
	"Move the code, or change the design in a commit that says why."

// check returns a sentence for each violation.
func (p policy) check(sources []source) (violations []string) {
	unknown := map[string]bool{}
	for _, s := range sources {
		if room := s.room(); p.rooms.lines[room] == "" && !s.isTest() && room != "." {
			if !unknown[room] {
				violations = append(violations, fmt.Sprintf("%s: room %s is in no line of roomPolicy. %s", s.path, room, isPolicy))
			}
			unknown[room] = true
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				violations = append(violations, fmt.Sprintf("%s: import %s: %v", s.at(spec.Pos()), spec.Path.Value, err))
				continue
			}
			if rule := p.refuses(s, imported); rule != "" {
				violations = append(violations, fmt.Sprintf("%s: import %q: %s. %s", s.at(spec.Pos()), imported, rule, isPolicy))
			}
		}
		violations = append(violations, p.checkWords(s)...)
	}
	return append(violations, p.checkReach(sources)...)
}

// checkReach looks for paths that reachPolicy forbids, and tells the shortest.
func (p policy) checkReach(sources []source) (violations []string) {
	imports := map[string][]string{} // of each room, ours without the module's path
	for _, s := range sources {
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if imported = strings.TrimPrefix(imported, modulePath+"/"); err == nil && !s.isTest() &&
				!slices.Contains(imports[s.room()], imported) {
				imports[s.room()] = append(imports[s.room()], imported)
			}
		}
	}
	for _, rule := range p.reach {
		path := map[string]string{rule.room: rule.room} // to each room or package that was come to
		for queue := []string{rule.room}; len(queue) > 0; queue = queue[1:] {
			for _, next := range imports[queue[0]] {
				if _, seen := path[next]; seen {
					continue
				}
				path[next] = path[queue[0]] + " -> " + next
				queue = append(queue, next)
				if slices.ContainsFunc(rule.banned, func(b string) bool { return under(b)(next) }) {
					violations = append(violations, fmt.Sprintf("%s: forbidden by the rule %q. %s", path[next], rule.line, isPolicy))
				}
			}
		}
	}
	return violations
}

// refuses returns the rule against an import, or "".
func (p policy) refuses(s source, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case under(modulePath)(imported):
		return p.refusesRoom(s, strings.TrimPrefix(strings.TrimPrefix(imported, modulePath), "/"))
	case !strings.Contains(first, "."): // the standard library
		if _, listed := p.modules.fit(imported); !listed {
			return ""
		}
	}
	return p.refusesModule(s, imported)
}

func (p policy) refusesRoom(s source, imported string) string {
	if s.isTest() {
		if isCommand(imported) {
			return "tests may import any room but a command"
		}
		return ""
	}
	if s.room() == "." {
		return "the root package holds no code and imports nothing"
	}
	if slices.Contains(p.rooms.mayImport[s.room()], imported) {
		return ""
	}
	return fmt.Sprintf("%s may not import %s by the rule %q", s.room(), imported, p.rooms.lines[s.room()])
}

func (p policy) refusesModule(s source, imported string) string {
	name, ok := p.modules.fit(imported)
	if !ok {
		return "no line of modulePolicy names this module; a new one needs a line there and in docs/adr/0001-third-party-modules.md"
	}
	users := p.modules.users[name]
	switch {
	case slices.Contains(users, "everybody"), slices.Contains(users, s.room()):
		return ""
	case s.isTest() && !slices.Contains(users, "nobody"):
		return ""
	}
	return fmt.Sprintf("%s may not use it by the rule %q", s.room(), p.modules.lines[name])
}

// link is a web address: a page to read, not a name to go by.
var link = regexp.MustCompile(`https?://\S+`)

// checkWords looks for API groups and labels in the strings of a file.
func (p policy) checkWords(s source) (violations []string) {
	if s.isTest() || s.room() == "." {
		return nil
	}
	deciding := decidingLiterals(s.file)
	ast.Inspect(s.file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		for _, word := range p.words.names() {
			if !strings.Contains(link.ReplaceAllString(lit.Value, ""), word) || slices.Contains(p.words.users[word], s.room()) {
				continue
			}
			why, may := p.sayOnly[s.room()]
			switch {
			case !may:
				violations = append(violations, fmt.Sprintf("%s: string %s: %s may not name %s by the rule %q: ask the Snapshot. %s",
					s.at(lit.Pos()), lit.Value, s.room(), word, p.words.lines[word], isPolicy))
			case deciding[lit]:
				violations = append(violations, fmt.Sprintf("%s: string %s: %s may say %s (%s), not decide by it: ask the Snapshot. %s",
					s.at(lit.Pos()), lit.Value, s.room(), word, why, isPolicy))
			}
		}
		return true
	})
	return violations
}

// decidingLiterals finds the strings that something is compared with, looked up by or searched for.
func decidingLiterals(f *ast.File) map[*ast.BasicLit]bool {
	found := map[*ast.BasicLit]bool{}
	mark := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if lit, ok := e.(*ast.BasicLit); ok {
				found[lit] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				mark(n.X, n.Y)
			}
		case *ast.IndexExpr:
			mark(n.Index)
		case *ast.CaseClause:
			mark(n.List...)
		case *ast.GenDecl:
			if n.Tok == token.CONST { // a name for it, to be used anywhere
				for _, spec := range n.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						mark(v.Values...)
					}
				}
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && (pkg.Name == "strings" || pkg.Name == "slices" || pkg.Name == "regexp") &&
					sel.Sel.Name != "Join" {
					mark(n.Args...)
				}
			}
		}
		return true
	})
	return found
}
