package judge

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The judge names what it found by codes of package report, where all sentences stand. Errors, which end a command, say
// what they are themselves.
func TestSentencesStandInReport(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr:
				if f, ok := x.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"New", "Errorf", "Usagef"}, f.Sel.Name) {
					return false // an error
				}
			case *ast.GenDecl:
				return x.Tok != token.CONST // a part of errors, which vet holds against their numbers
			case *ast.BasicLit:
				if text, _ := strconv.Unquote(x.Value); x.Kind == token.STRING && len(strings.Fields(text)) > 3 {
					t.Errorf("%s: %q stands in judge; give it a code in report/sayings.go", fset.Position(x.Pos()), text)
				}
			}
			return true
		})
	}
}
