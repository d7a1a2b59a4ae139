package mesh

import (
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/law"
)

func TestReadConversionFile(t *testing.T) {
	const split = "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: a, namespace: test}\nspec: {service: a, backends: [{service: b, weight: 1}]}\n"
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: test}\nspec: {ports: [{port: 80}]}\n"
	for _, row := range []struct {
		name, text string
		splits     int
		port       int32
		err        string
	}{
		{"one", split, 1, 0, ""},
		{"with its Service, in any order", service + "---\n" + split, 1, 80, ""},
		{"a list", `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"split.smi-spec.io/v1alpha1","kind":"TrafficSplit","metadata":{"name":"a"},"spec":{"service":"a","backends":[]}}]}`, 1, 0, ""},
		{"other kinds", "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n---\n---\n" + split, 1, 0, ""},
		{"nothing", "", 0, 0, ""},
		{"not YAML", "a: [", 0, 0, "document 1: "},
		{"not an object", "- 1", 0, 0, "document 1: "},
		{"of another group", strings.Replace(split, "split.smi-spec.io", "example.com", 1), 0, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ReadConversionFile(strings.NewReader(row.text))
			if (err != nil) != (row.err != "") || err != nil && !strings.HasPrefix(err.Error(), row.err) {
				t.Fatalf("error %v", err)
			}
			if len(got) != row.splits || row.port != 0 && (len(got[0].Ports) != 1 || got[0].Ports[0].Port != row.port) {
				t.Errorf("sources %+v", got)
			}
		})
	}
}

// FuzzConvert: whatever a file says, conversion ends, and what it makes is a route with the weights that it names.
func FuzzConvert(f *testing.F) {
	f.Add("apiVersion: split.smi-spec.io/v1alpha1\nkind: TrafficSplit\nmetadata: {name: a}\nspec: {service: a, backends: [{service: b, weight: 500m}]}")
	f.Add(`{"apiVersion":"split.smi-spec.io/v1alpha2","kind":"TrafficSplit","spec":{"backends":[{"weight":1e999}]}}`)
	f.Add("kind: List\nitems: [1]")
	f.Fuzz(func(t *testing.T, text string) {
		sources, err := ReadConversionFile(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range sources {
			c, err := law.Convert(s, 80)
			if err != nil {
				continue
			}
			var sum int64
			for _, w := range c.Law {
				if w.Weight < 0 || w.Weight > 1_000_000 {
					t.Errorf("weight %d", w.Weight)
				}
				sum += w.Weight
			}
			if sum == 0 {
				t.Error("weights that sum to nothing")
			}
			if _, err := c.YAML(s.Name()); err != nil {
				t.Error(err)
			}
		}
	})
}
