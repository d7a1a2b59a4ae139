package law

import "testing"

// Every kind is written back as a command line takes it, by its short name and by its own in any number, with or without its group.
func TestKindNames(t *testing.T) {
	for _, row := range []struct {
		kind  Path
		short string
		typed []string
	}{
		{PathServiceProfile, "sp/podinfo", []string{"sp", "serviceprofile", "serviceprofiles.linkerd.io"}},
		{PathTrafficSplit, "ts/podinfo", []string{"ts", "trafficsplit", "TrafficSplits.split.smi-spec.io"}},
		{PathGRPCRoute, "grpcroute/podinfo", []string{"grpcroute", "GRPCRoutes"}},
		{PathHTTPRoute, "httproute/podinfo", []string{"httproute", "httproutes.gateway.networking.k8s.io"}},
		{PathTLSRoute, "tlsroute/podinfo", []string{"tlsroute", "tlsroutes"}},
		{PathTCPRoute, "tcproute/podinfo", []string{"tcproute", "TCPRoute"}},
		{PathVirtualService, "vs/podinfo", []string{"vs", "virtualservice", "virtualservices.networking.istio.io"}},
		{PathTraefikService, "traefikservice/podinfo", []string{"traefikservice", "traefikservices.traefik.io"}},
		{"", "podinfo", []string{"svc", "s", "", "split"}},
	} {
		if got := ShortName(row.kind, "podinfo"); got != row.short {
			t.Errorf("%s: %q, want %q", row.kind, got, row.short)
		}
		for _, typed := range row.typed {
			if got := KindOf(typed); got != row.kind {
				t.Errorf("%q: %q, want %q", typed, got, row.kind)
			}
		}
	}
	if len(Kinds()) != 8 {
		t.Errorf("%d kinds: the rows above are not all", len(Kinds()))
	}
}
