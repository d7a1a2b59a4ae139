package law

import "testing"

// Laws that draw alike are the same, whatever they call it.
func TestLawsThatDrawAlike(t *testing.T) {
	base := func() Law {
		return Law{
			Path: PathHTTPRoute, NullModel: RandomPerRequest, Rule: "spec.rules[0].matches[0]",
			Objects: []ObjectRef{{APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "test", Name: "r", UID: "u"}},
			Backends: []Leaf{
				{Name: "a", Namespace: "test", Service: "a", Weight: 90, Probability: 0.9},
				{Name: "b", Namespace: "test", Service: "b", Port: 9898, Weight: 10, Probability: 0.1},
			},
		}
	}
	for _, test := range []struct {
		name   string
		change func(*Law)
		same   bool
	}{
		{"itself", func(*Law) {}, true},
		{"the group alone", func(l *Law) { l.Objects[0].APIVersion = "gateway.networking.k8s.io" }, true},
		{"another group", func(l *Law) { l.Objects[0].APIVersion = "policy.linkerd.io" }, false},
		{"another route", func(l *Law) { l.Objects[0].Name = "s" }, false},
		{"no object is named", func(l *Law) { l.Objects = nil }, true},
		{"the port that is dialled", func(l *Law) { l.Backends[0].Port = 9898 }, true},
		{"another port", func(l *Law) { l.Backends[1].Port = 9999 }, false},
		{"other weights of the same shares", func(l *Law) { l.Backends[0].Weight, l.Backends[1].Weight = 900, 100 }, true},
		{"other shares", func(l *Law) { l.Backends[0].Probability, l.Backends[1].Probability = 0.8, 0.2 }, false},
		{"one more of weight 0", func(l *Law) { l.Backends = append(l.Backends, Leaf{Service: "c"}) }, true},
		{"a backend twice", func(l *Law) {
			l.Backends[0].Probability = 0.4
			l.Backends = append(l.Backends, l.Backends[0])
			l.Backends[2].Probability = 0.5
		}, true},
		{"a share that the proxy answers", func(l *Law) { l.Backends[1].ProxyStatus = 500 }, false},
		{"for each connection", func(l *Law) { l.NullModel = RandomPerConnection }, false},
		{"no distribution", func(l *Law) { l.Problem = "none" }, false},
	} {
		l := base()
		test.change(&l)
		if got := base().Same(l, 9898); got != test.same || l.Same(base(), 9898) != got {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if !(Law{Problem: "a", Path: PathDefault}).Same(Law{Problem: "b", Path: PathHTTPRoute}, 1) {
		t.Error("two laws without a distribution")
	}
}
