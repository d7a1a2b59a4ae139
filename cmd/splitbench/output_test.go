package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// TestEveryDocumentIsPrintedInEveryForm prints each document as JSON, which fits its schema, and through kubectl's printers.
func TestEveryDocumentIsPrintedInEveryForm(t *testing.T) {
	file := demoKubeconfig(t)
	schemas, err := filepath.Abs("../../docs/schema")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	env := map[string]string{"SPLITBENCH_KUBECONFIG": file}
	for range 2 {
		carriedOut(t, env, "demo -q --requests 300 --tolerance 40pt")
	}
	suite := "apiVersion: splitbench.io/v1alpha1\nkind: Suite\ndefaults: {context: west, namespace: test, from: deploy/frontend, " +
		"requests: 200, rate: 1000, tolerance: 40pt}\nsplits: [{split: ts/podinfo}]\n"
	if err := os.WriteFile("suite.yaml", []byte(suite), 0o600); err != nil {
		t.Fatal(err)
	}
	const cluster = " --context west --remote-context east -n test"
	for _, row := range []struct {
		line, schema, kind string // schema "": an object of Kubernetes
		jsonpath, want     string // "": that of the kind
		name               string // what -o name begins with, where it has one
	}{
		{line: "check ts/podinfo" + cluster, schema: "checkreport", kind: "CheckReport"},
		{line: "plan --weights a=50,b=50", schema: "splitplan", kind: "SplitPlan"},
		{line: "explain SB012", schema: "checkexplanations", kind: "CheckExplanations", jsonpath: "{.checks[0].id}", want: "SB012"},
		{line: "explain", schema: "checkexplanations", kind: "CheckExplanations", jsonpath: "{.checks[2].severity}", want: "fatal"},
		{line: "results list", schema: "runlist", kind: "RunList", jsonpath: "{.runs[*].outcome}", want: "pass pass", name: "2"},
		{line: "results compare latest~1 latest --fail-on never", schema: "runcomparison", kind: "RunComparison"},
		{line: "results verify", schema: "runverification", kind: "RunVerification", jsonpath: "{.runs[0].state}", want: "complete"},
		{line: "selftest --duration 100ms", schema: "selftest", kind: "SelfTest"},
		{line: "config view --context west", schema: "configview", kind: "ConfigView", jsonpath: "{.values[?(@.name==\"context\")].from}"},
		{line: "version", schema: "version", kind: "Version", jsonpath: "{.agentProtocol}"},
		{line: "run ts/podinfo --from deploy/frontend --dry-run" + cluster, schema: "runpreview", kind: "RunPreview", jsonpath: "{.measurable}", want: "true"},
		{line: "run -f suite.yaml", schema: "suitereport", kind: "SuiteReport"},
		{line: "attack http://127.0.0.1:1/ --requests 5 --max-errors 100%", schema: "loadreport", kind: "LoadReport"},
		{line: "convert ts/podinfo" + cluster[:15] + " -n test", kind: "HTTPRoute", jsonpath: "{.spec.rules[0].backendRefs[1].name}", want: "podinfo-east", name: "httproute.gateway.networking.k8s.io/podinfo"},
		{line: "rbac run ts/podinfo --from deploy/frontend --offline -n test", kind: "List", jsonpath: "{.items[0].metadata.name}", want: "splitbench", name: "serviceaccount/splitbench\nclusterrole.rbac.authorization.k8s.io/splitbench-run\n"},
		{line: "rbac view", kind: "ClusterRole", name: "clusterrole.rbac.authorization.k8s.io/"},
		{line: "report latest", schema: "splitreport", kind: "SplitReport", jsonpath: "{.verdict.outcome}", want: "pass"},
	} {
		t.Run(row.line, func(t *testing.T) {
			print := func(form string) string {
				stdout, stderr, code := carriedOut(t, env, row.line+" -o "+form)
				if code != 0 && !(code == 4 && strings.HasPrefix(row.line, "attack")) {
					t.Fatalf("-o %s: exit code %d\n%s%s", form, code, stdout, stderr)
				}
				return stdout
			}
			out := print("json")
			var doc map[string]any
			if err := json.Unmarshal([]byte(out), &doc); err != nil || doc["kind"] != row.kind {
				t.Fatalf("kind %v, want %s: %v\n%s", doc["kind"], row.kind, err, out)
			}
			if row.schema != "" {
				fitsSchema(t, filepath.Join(schemas, row.schema+".v1alpha1.json"), doc)
			}
			var again map[string]any
			if err := yaml.Unmarshal([]byte(strings.Split(print("yaml"), "\n---\n")[0]), &again); err != nil || row.kind != "List" && again["kind"] != row.kind {
				t.Errorf("-o yaml: kind %v: %v", again["kind"], err)
			}
			if got := print("go-template={{.kind}}"); got != row.kind {
				t.Errorf("-o go-template: %q", got)
			}
			if row.jsonpath == "" {
				row.jsonpath, row.want = "{.kind}", row.kind
			}
			if got := print("jsonpath=" + row.jsonpath); got == "" || row.want != "" && got != row.want {
				t.Errorf("-o jsonpath=%s: %q, want %q", row.jsonpath, got, row.want)
			}
			if row.name != "" && !strings.HasPrefix(print("name"), row.name) {
				t.Errorf("-o name: %q", print("name"))
			}
		})
	}
}

// fitsSchema holds a document against a schema, and the schema to saying no to a document that lacks a field or has one more.
func fitsSchema(t *testing.T, file string, doc map[string]any) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	kind := doc["kind"]
	delete(doc, "kind")
	if schema.Validate(doc) == nil {
		t.Error("the schema says yes to a document without its kind")
	}
	doc["kind"], doc["surprise"] = kind, 1.0
	if schema.Validate(doc) == nil {
		t.Error("the schema says yes to a key that it does not know")
	}
}

// What a cluster says may hold any character, and YAML may not.
func TestYAMLOfControlCharacters(t *testing.T) {
	printer, err := printerOf("yaml")
	if err != nil {
		t.Fatal(err)
	}
	for r := range rune(0x10000) {
		if r > 0x100 && r < 0xD7F0 || r >= 0xD800 && r < 0xE000 || r > 0xE010 && r < 0xFEF0 {
			continue
		}
		doc := jsonOf(map[string]any{"apiVersion": "v1", "kind": "X", "name": "a" + string(r) + "b"})
		if err := printObject(io.Discard, printer, doc); err != nil {
			t.Errorf("%U: %v", r, err)
		}
	}
}
