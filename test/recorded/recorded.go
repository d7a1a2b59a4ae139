// Package recorded reads what a real control plane of Linkerd told proxies: objects in, answers out. It is for tests
// alone.
package recorded

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Situation is one recording: what was applied, what controllers wrote, and what a client of Service podinfo in
// namespace law was told.
type Situation struct {
	ID              string
	Port            int32  // that was asked for
	ClientNamespace string // of the pod that asked
	Services        []unstructured.Unstructured
	Objects         []unstructured.Unstructured // as applied
	Refused         []string                    // by the API server or a webhook
	Status          map[string]json.RawMessage  // by resource/namespace/name
	ServiceProfiles []map[string]any            // specs, as the SMI adaptor wrote them
	Policy          *outbound.OutboundPolicy
	Profile         *destination.DestinationProfile
}

// linkerd is what was recorded from Linkerd edge-26.8.3 with linkerd-smi v0.2.7 on Kubernetes 1.36.3 on 2026-11-28, by
// `linkerd diagnostics policy` and `linkerd diagnostics profile`. Settings of balancers, queues and retry budgets and
// empty fields were left out; an absent weight is 0.
//
//go:embed linkerd.json
var linkerd []byte

// Linkerd are the recordings that the project has.
func Linkerd() ([]Situation, error) { return decode("linkerd.json", linkerd) }

// Read reads a file of recordings.
func Read(name string) ([]Situation, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return decode(name, b)
}

// decode reads recordings. `linkerd diagnostics` prints the Go structs of the answers by encoding/json, in which
// a oneof is the name of its Go field.
func decode(name string, b []byte) ([]Situation, error) {
	var raw []struct {
		ID              string                     `json:"id"`
		Port            int32                      `json:"port"`
		ClientNamespace string                     `json:"clientNamespace"`
		Services        []map[string]any           `json:"services"`
		Objects         []map[string]any           `json:"objects"`
		Refused         []string                   `json:"refusedByTheAPI"`
		Status          map[string]json.RawMessage `json:"status"`
		ServiceProfiles []map[string]any           `json:"serviceProfiles"`
		Policy          map[string]any             `json:"policy"`
		Profile         map[string]any             `json:"profile"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("read recordings %s: %w", name, err)
	}
	out := make([]Situation, 0, len(raw))
	for _, r := range raw {
		s := Situation{
			ID: r.ID, Port: r.Port, ClientNamespace: r.ClientNamespace,
			Services: objects(r.Services), Objects: objects(r.Objects),
			Refused: r.Refused, Status: r.Status, ServiceProfiles: r.ServiceProfiles,
			Policy: &outbound.OutboundPolicy{}, Profile: &destination.DestinationProfile{},
		}
		if err := fill(s.Policy.ProtoReflect(), r.Policy); err != nil {
			return nil, fmt.Errorf("read recording %s of %s: policy: %w", r.ID, name, err)
		}
		if err := fill(s.Profile.ProtoReflect(), r.Profile); err != nil {
			return nil, fmt.Errorf("read recording %s of %s: profile: %w", r.ID, name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func objects(in []map[string]any) []unstructured.Unstructured {
	out := make([]unstructured.Unstructured, 0, len(in))
	for _, o := range in {
		out = append(out, unstructured.Unstructured{Object: o})
	}
	return out
}

// fill sets the fields of m that the JSON has. A field that m does not know is an error: nothing is left out silently.
func fill(m protoreflect.Message, from map[string]any) error {
	fields := m.Descriptor().Fields()
	for name, v := range from {
		if v == nil {
			continue
		}
		if f := fields.ByName(protoreflect.Name(name)); f != nil && f.ContainingOneof() == nil {
			if err := set(m, f, v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		one := m.Descriptor().Oneofs().ByName(protoreflect.Name(strings.ToLower(name)))
		alternatives, ok := v.(map[string]any)
		if one == nil || !ok {
			return fmt.Errorf("%s has no field %s", m.Descriptor().Name(), name)
		}
		for which, v := range alternatives {
			f := named(one.Fields(), which)
			if f == nil {
				return fmt.Errorf("%s of %s has no alternative %s", name, m.Descriptor().Name(), which)
			}
			if err := set(m, f, v); err != nil {
				return fmt.Errorf("%s: %w", which, err)
			}
		}
	}
	return nil
}

// named finds a field by its name in Go, FirstAvailable of first_available.
func named(fields protoreflect.FieldDescriptors, goName string) protoreflect.FieldDescriptor {
	for i := range fields.Len() {
		if strings.EqualFold(strings.ReplaceAll(string(fields.Get(i).Name()), "_", ""), goName) {
			return fields.Get(i)
		}
	}
	return nil
}

func set(m protoreflect.Message, f protoreflect.FieldDescriptor, v any) error {
	object, _ := v.(map[string]any) // null: there, and empty
	switch {
	case f.IsMap():
		for key, text := range object {
			m.Mutable(f).Map().Set(protoreflect.ValueOf(key).MapKey(), protoreflect.ValueOf(text))
		}
	case f.IsList():
		items, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%T in place of a list", v)
		}
		for _, item := range items {
			if err := add(m.Mutable(f).List(), f, item); err != nil {
				return err
			}
		}
	case f.Message() != nil:
		return fill(m.Mutable(f).Message(), object)
	default:
		x, err := scalar(f, v)
		if err != nil {
			return err
		}
		m.Set(f, x)
	}
	return nil
}

func add(to protoreflect.List, f protoreflect.FieldDescriptor, item any) error {
	if f.Message() != nil {
		object, _ := item.(map[string]any)
		return fill(to.AppendMutable().Message(), object)
	}
	x, err := scalar(f, item)
	if err == nil {
		to.Append(x)
	}
	return err
}

func scalar(f protoreflect.FieldDescriptor, v any) (protoreflect.Value, error) {
	switch x := v.(type) {
	case string:
		if f.Kind() == protoreflect.BytesKind {
			b, err := base64.StdEncoding.DecodeString(x)
			return protoreflect.ValueOfBytes(b), err
		}
		return protoreflect.ValueOfString(x), nil
	case bool:
		return protoreflect.ValueOfBool(x), nil
	case float64:
		switch f.Kind() {
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(x)), nil
		case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
			return protoreflect.ValueOfUint32(uint32(x)), nil
		case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
			return protoreflect.ValueOfUint64(uint64(x)), nil
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(int32(x)), nil
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(int64(x)), nil
		case protoreflect.FloatKind:
			return protoreflect.ValueOfFloat32(float32(x)), nil
		case protoreflect.DoubleKind:
			return protoreflect.ValueOfFloat64(x), nil
		}
	}
	return protoreflect.Value{}, fmt.Errorf("%T in place of %s", v, f.Kind())
}
