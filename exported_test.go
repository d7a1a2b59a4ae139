package splitbench_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The packages that others may learn the field from: here every exported name says what it means, numbers in their units.
var documentedRooms = []string{".", "attack", "analyze", "podexec"}

// Methods whose contract is an interface of the standard library; a comment could only repeat it.
var wellKnownMethods = []string{"Error", "String", "Unwrap", "Is", "As", "Read", "Write", "Close", "MarshalJSON", "UnmarshalJSON"}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	sources, err := readTree(".")
	if err != nil {
		t.Fatal(err)
	}
	packageComment := map[string]bool{}
	for _, s := range sources {
		if s.isTest() || !slices.Contains(documentedRooms, s.room()) {
			continue
		}
		packageComment[s.room()] = packageComment[s.room()] || s.file.Doc != nil
		for _, missing := range undocumented(s) {
			t.Error(missing)
		}
	}
	for _, room := range documentedRooms {
		if !packageComment[room] {
			t.Errorf("package %s has no package comment: say what it does, what it refuses to do, and one invariant", room)
		}
	}
}

// undocumented returns a sentence for each exported name of a file without a comment. In a struct only numbers need one
// each, because their names rarely tell the unit; a comment may stand above the field, behind it, or above the first field
// of a block of lines.
func undocumented(s source) (missing []string) {
	report := func(n ast.Node, format string, args ...any) {
		missing = append(missing, s.at(n.Pos())+": "+fmt.Sprintf(format, args...)+" has no comment")
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil || !d.Name.IsExported() {
				continue
			}
			if d.Recv == nil {
				report(d, "func %s", d.Name)
			} else if recv := receiver(d); ast.IsExported(recv) && !slices.Contains(wellKnownMethods, d.Name.Name) {
				report(d, "method %s.%s", recv, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							report(name, "%s %s", d.Tok, name)
						}
					}
				case *ast.TypeSpec:
					if !spec.Name.IsExported() {
						continue
					}
					if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						report(spec, "type %s", spec.Name)
					}
					if st, ok := spec.Type.(*ast.StructType); ok {
						for _, f := range bareNumbers(s.fset, st) {
							report(f, "number %s.%s", spec.Name, f)
						}
					}
				}
			}
		}
	}
	return missing
}

func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// bareNumbers returns the exported numeric fields that no comment covers.
func bareNumbers(fset *token.FileSet, st *ast.StructType) (bare []*ast.Ident) {
	covered, lastLine := false, -1
	for _, f := range st.Fields.List {
		first := f.Pos()
		if f.Doc != nil {
			first = f.Doc.Pos()
		}
		if line := fset.Position(first).Line; line != lastLine+1 {
			covered = false // a new block of lines
		}
		covered = covered || f.Doc != nil
		lastLine = fset.Position(f.End()).Line
		if covered || f.Comment != nil || !isNumber(f.Type) {
			continue
		}
		for _, name := range f.Names {
			if name.IsExported() {
				bare = append(bare, name)
			}
		}
	}
	return bare
}

func isNumber(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Ident:
		return strings.HasPrefix(x.Name, "int") || strings.HasPrefix(x.Name, "uint") || strings.HasPrefix(x.Name, "float")
	case *ast.SelectorExpr:
		return x.Sel.Name == "Duration"
	case *ast.ArrayType:
		return isNumber(x.Elt)
	case *ast.StarExpr:
		return isNumber(x.X)
	}
	return false
}

func TestUndocumentedNamesAreFound(t *testing.T) {
	for _, tt := range []struct{ name, decl, want string }{
		{"func", "func F() {}", "func F"},
		{"func with a comment", "// F does.\nfunc F() {}", ""},
		{"method", "// T is.\ntype T int\nfunc (*T) M() {}", "method T.M"},
		{"method of a hidden type", "type t int\nfunc (t) M() {}", ""},
		{"error method", "// T is.\ntype T int\nfunc (T) Error() string { return \"\" }", ""},
		{"type", "type T int", "type T"},
		{"const in a group with a comment", "// These are.\nconst (\n\tA = 1\n)", ""},
		{"const in a bare group", "const (\n\tA = 1\n)", "const A"},
		{"const with a comment behind it", "const (\n\tA = 1 // is\n)", ""},
		{"number", "// T is.\ntype T struct {\n\tP99 float64\n}", "number T.P99"},
		{"number with a comment behind it", "// T is.\ntype T struct {\n\tP99 float64 // milliseconds\n}", ""},
		{"number in a block with a comment", "// T is.\ntype T struct {\n\t// Milliseconds.\n\tP99 float64\n\tP50 float64\n}", ""},
		{"number in the next block", "// T is.\ntype T struct {\n\t// Milliseconds.\n\tP99 float64\n\n\tP50 float64\n}", "number T.P50"},
		{"duration", "// T is.\ntype T struct {\n\tWait time.Duration\n}", "number T.Wait"},
		{"name", "// T is.\ntype T struct {\n\tName string\n}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSource("p/p.go", "package p\n\n"+tt.decl+"\n")
			if err != nil {
				t.Fatal(err)
			}
			got := undocumented(s)
			if tt.want == "" && len(got) != 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
