package told

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Routes of HTTP, of gRPC, of TLS and of opaque connections are types of their own, with fields of the same names: they
// are read by name, once.

// field is the field of that name, nil where the type has none.
func field(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func has(m protoreflect.Message, name protoreflect.Name) bool {
	f := field(m, name)
	return f != nil && m.Has(f)
}

// sub is the message in a field, an empty one where it is not set.
func sub(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	return m.Get(field(m, name)).Message()
}

// oneof is which of several fields is set, and the message in it. "": none, or one that this program does not know.
func oneof(m protoreflect.Message, name protoreflect.Name) (set string, in protoreflect.Message) {
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName(name))
	if f == nil {
		return "", nil
	}
	if f.Message() != nil {
		in = m.Get(f).Message()
	}
	return string(f.Name()), in
}

// list is the messages in a repeated field; none where the type has no such field.
func list(m protoreflect.Message, name protoreflect.Name) []protoreflect.Message {
	if m == nil || field(m, name) == nil {
		return nil
	}
	l := m.Get(field(m, name)).List()
	out := make([]protoreflect.Message, l.Len())
	for i := range out {
		out[i] = l.Get(i).Message()
	}
	return out
}

func texts(m protoreflect.Message, name protoreflect.Name) []string {
	l := m.Get(field(m, name)).List()
	out := make([]string, l.Len())
	for i := range out {
		out[i] = l.Get(i).String()
	}
	return out
}

// text is a field of text or bytes.
func text(m protoreflect.Message, name protoreflect.Name) string {
	f := field(m, name)
	if f.Kind() == protoreflect.BytesKind {
		return string(m.Get(f).Bytes())
	}
	return m.Get(f).String()
}

// number is a field of a number, 0 where the type has no such field.
func number(m protoreflect.Message, name protoreflect.Name) uint64 {
	f := field(m, name)
	if f == nil {
		return 0
	}
	return m.Get(f).Uint()
}

// refOf is the object that a message's metadata names; none where it names a default.
func refOf(m protoreflect.Message) law.ObjectRef {
	kind, r := oneof(sub(m, "metadata"), "kind")
	if kind != "resource" {
		return law.ObjectRef{}
	}
	return law.ObjectRef{
		APIVersion: untrusted.Cut(text(r, "group"), 253), Kind: untrusted.Cut(text(r, "kind"), 63),
		Namespace: untrusted.Cut(text(r, "namespace"), 63), Name: untrusted.Cut(text(r, "name"), 253),
	}
}

// portOf is the port that a message's metadata names.
func portOf(m protoreflect.Message) int32 {
	if kind, r := oneof(sub(m, "metadata"), "kind"); kind == "resource" {
		return int32(number(r, "port") & 0xffff)
	}
	return 0
}

// aside are the parts of an answer that change how a request is sent and never which backend is drawn for it.
func aside(f protoreflect.FieldDescriptor) bool {
	switch f.Name() {
	case "queue", "retry", "timeouts", "requestTimeout", "timeout", "failure_accrual", "peak_ewma", "penalty_peak_ewma",
		"endpoint", "forward", "retry_budget", "response_classes", "request_header_modifier", "response_header_modifier":
		return true
	}
	return false
}

// unknownFields refuses an answer with a part that may change the draw and that this program does not know.
func unknownFields(m protoreflect.Message, what string) error {
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("the %s that the control plane told has a field in %s that this program does not know; "+
			"is it of another version?", what, m.Descriptor().Name())
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil, f.IsMap(), aside(f):
		case f.IsList():
			for i := range v.List().Len() {
				if err == nil {
					err = unknownFields(v.List().Get(i).Message(), what)
				}
			}
		default:
			err = unknownFields(v.Message(), what)
		}
		return err == nil
	})
	return err
}
