package report

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/splitbench/splitbench/internal/preflight"
)

const (
	reportSchema = "../../docs/schema/splitreport.v1alpha1.json"
	checkSchema  = "../../docs/schema/checkreport.v1alpha1.json"
	listSchema   = "../../docs/schema/checklist.v1alpha1.json"
	planSchema   = "../../docs/schema/splitplan.v1alpha1.json"
	loadSchema   = "../../docs/schema/loadreport.v1alpha1.json"
	selfSchema   = "../../docs/schema/selftest.v1alpha1.json"
)

func compile(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decode(t *testing.T, doc []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReportsOfEveryOutcomeFitTheSchema(t *testing.T) {
	schema := compile(t, reportSchema)
	seen := map[string]bool{}
	for name, r := range documents(t) {
		seen[r.Verdict.Outcome] = true
		var b bytes.Buffer
		if err := WriteJSON(&b, r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(decode(t, b.Bytes())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []string{Pass, Fail, Inconclusive, Invalid} {
		if !seen[o] {
			t.Errorf("no report with outcome %s was tried", o)
		}
	}
}

func TestChecksFitTheSchema(t *testing.T) {
	schema := compile(t, checkSchema)
	for _, checks := range [][]preflight.Result{nil, greenChecks(), readDocument(t, "hostile").Checks, readDocument(t, "invalid-off-mesh").Checks} {
		var b bytes.Buffer
		if err := WriteJSON(&b, ChecksOf(checks)); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, b.Bytes())); err != nil {
			t.Error(err)
		}
	}
}

func TestListsOfChecksFitTheSchema(t *testing.T) {
	schema := compile(t, listSchema)
	for _, all := range [][]SplitChecks{nil, {{Namespace: "test", Split: "ts/podinfo", Checks: greenChecks()}, {Namespace: "test", Split: "ts/x", Checks: readDocument(t, "hostile").Checks, Notes: []string{"a note"}}}} {
		var b bytes.Buffer
		if err := WriteJSON(&b, CheckListOf(all)); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, b.Bytes())); err != nil {
			t.Error(err)
		}
	}
}

// The schema must be able to say no.
func TestSchemaRefuses(t *testing.T) {
	schema := compile(t, reportSchema)
	var b bytes.Buffer
	if err := WriteJSON(&b, readDocument(t, "pass")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"another version": func(d map[string]any) { d["apiVersion"] = "splitbench.io/v2" },
		"no verdict":      func(d map[string]any) { delete(d, "verdict") },
		"unknown field":   func(d map[string]any) { d["extra"] = 1 },
		"unknown outcome": func(d map[string]any) { d["verdict"].(map[string]any)["outcome"] = "passed" },
		"null for a list": func(d map[string]any) { d["warnings"] = nil },
		"share above 1": func(d map[string]any) {
			d["backends"].([]any)[0].(map[string]any)["observedShare"] = json.Number("1.5")
		},
		"null for a number":   func(d map[string]any) { d["backends"].([]any)[0].(map[string]any)["observed"] = nil },
		"unknown inner field": func(d map[string]any) { d["load"].(map[string]any)["p99"] = json.Number("1") },
	} {
		doc := decode(t, b.Bytes()).(map[string]any)
		change(doc)
		if err := schema.Validate(doc); err == nil {
			t.Errorf("%s: the schema says yes", name)
		}
	}
}

// Every key of the structs is in the schema with the same nullability, and the other way round.
func TestSchemaHasEveryKey(t *testing.T) {
	for path, root := range map[string]reflect.Type{reportSchema: reflect.TypeFor[Report](), checkSchema: reflect.TypeFor[CheckReport](), listSchema: reflect.TypeFor[CheckList](), planSchema: reflect.TypeFor[Plan](), loadSchema: reflect.TypeFor[LoadReport](), selfSchema: reflect.TypeFor[SelfTest]()} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		sameKeys(t, doc, doc, root, root.Name(), map[string]bool{})
	}
}

func sameKeys(t *testing.T, doc, node map[string]any, typ reflect.Type, where string, done map[string]bool) {
	t.Helper()
	if done[where] {
		return
	}
	done[where] = true
	properties, _ := node["properties"].(map[string]any)
	required, _ := node["required"].([]any)
	if node["additionalProperties"] != false {
		t.Errorf("%s: the schema allows other keys", where)
	}
	keys := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue // its fields are visible themselves
		}
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "-" {
			continue // no document has it
		}
		keys[key] = true
		at := where + "." + key
		property, ok := properties[key].(map[string]any)
		if !ok {
			t.Errorf("%s is not in the schema", at)
			continue
		}
		if got, want := slices.Contains(required, any(key)), options == ""; got != want {
			t.Errorf("%s: required in the schema: %t, always written: %t", at, got, want)
		}
		pointer := f.Type.Kind() == reflect.Pointer
		target, nullable := resolve(doc, property)
		if nullable != (pointer && options == "") {
			t.Errorf("%s: null in the schema: %t, pointer that is always written: %t", at, nullable, pointer && options == "")
		}
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			if inner.Kind() == reflect.Slice {
				items, _ := target["items"].(map[string]any)
				target, _ = resolve(doc, items)
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			sameKeys(t, doc, target, inner, inner.Name(), done)
		}
	}
	for key := range properties {
		if !keys[key] {
			t.Errorf("%s.%s is in the schema only", where, key)
		}
	}
}

// resolve follows $ref and says whether null is allowed.
func resolve(doc, node map[string]any) (map[string]any, bool) {
	nullable := false
	if types, ok := node["type"].([]any); ok {
		nullable = slices.Contains(types, any("null"))
	}
	if either, ok := node["anyOf"].([]any); ok {
		for _, e := range either {
			if e := e.(map[string]any); e["type"] == "null" {
				nullable = true
			} else {
				node = e
			}
		}
	}
	if ref, ok := node["$ref"].(string); ok {
		node, _ = doc["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	return node, nullable
}
