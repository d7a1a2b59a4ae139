package law

import (
	"strings"
	"testing"
)

// What makes a port opaque to Linkerd: linkerd2 controller/api/destination/watcher/opaque_ports_watcher.go, where an annotation
// that is there and empty stands for no port at all.
func TestOpaqueToLinkerd(t *testing.T) {
	for _, row := range []struct {
		name    string
		service Service
		port    int32
		want    string // part of the reason; "": it is HTTP
	}{
		{"a usual port", Service{}, 9898, ""},
		{"a port of the default", Service{}, 4444, "by Linkerd's default"},
		{"a port of the default, annotation empty", Service{OpaquePortsSet: true}, 4444, ""},
		{"a port of the default, annotation of another", Service{OpaquePortsSet: true, OpaquePorts: "25"}, 4444, ""},
		{"annotated", Service{OpaquePortsSet: true, OpaquePorts: "25,9000-9999"}, 9898, "annotation config.linkerd.io/opaque-ports"},
		{"appProtocol", Service{Ports: []Port{{Port: 9898, AppProtocol: "tcp"}}}, 9898, `appProtocol "tcp"`},
		{"appProtocol, annotation empty", Service{OpaquePortsSet: true, Ports: []Port{{Port: 9898, AppProtocol: "tcp"}}}, 9898, `appProtocol "tcp"`},
	} {
		row.service.Found = true
		got := use(ProviderLinkerd, row.service, row.port).opaque
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
