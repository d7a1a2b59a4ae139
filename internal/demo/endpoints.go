package demo

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// publish completes a Service and makes its Endpoints, unless it has no selector, and its EndpointSlice.
func (c *cluster) publish(s *corev1.Service) {
	age := c.hints[s.UID].age
	c.complete(s)
	c.make(s, 0, "kube-controller-manager")
	e := c.endpointsOf(s)
	if e == nil {
		return
	}
	c.make(e, age, "kube-controller-manager")
	c.make(sliceOf(e, s, c.site.Cluster), age, "kube-controller-manager")
}

// complete fills in what the API server fills in.
func (c *cluster) complete(s *corev1.Service) {
	if s.Spec.ClusterIP == "" {
		c.services++
		s.Spec.ClusterIP = fmt.Sprintf("%s.200.%d", c.site.ServiceNet, c.services)
	}
	s.Spec.Type = cmp.Or(s.Spec.Type, corev1.ServiceTypeClusterIP)
	s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	s.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyCluster)
	s.Spec.SessionAffinity = corev1.ServiceAffinityNone
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		p.Protocol = cmp.Or(p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

// endpointsOf are the Endpoints that a Service has, those that its selector wants, or nil where it has neither.
//
//nolint:staticcheck // deprecated, still read: the walkthrough's mirror is one
func (c *cluster) endpointsOf(s *corev1.Service) *corev1.Endpoints {
	if len(s.Spec.Selector) == 0 {
		o, ok := c.store.get(key{"endpoints", s.Namespace, s.Name})
		if !ok {
			return nil
		}
		e, _ := decode[corev1.Endpoints](o)
		return e
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	e := &corev1.Endpoints{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Endpoints"},
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, Labels: s.Labels},
	}
	var subset corev1.EndpointSubset
	each(c, "pods", func(p *corev1.Pod) {
		if p.Namespace != s.Namespace || !selector.Matches(labels.Set(p.Labels)) {
			return
		}
		if subset.Ports == nil {
			for _, port := range s.Spec.Ports {
				subset.Ports = append(subset.Ports, corev1.EndpointPort{
					Name: port.Name, Port: targetPort(port, p), Protocol: port.Protocol,
				})
			}
		}
		ref := &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
		a := corev1.EndpointAddress{IP: p.Status.PodIP, NodeName: new(p.Spec.NodeName), TargetRef: ref}
		if podReady(p) {
			subset.Addresses = append(subset.Addresses, a)
		} else {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, a)
		}
	})
	if subset.Ports != nil {
		e.Subsets = append(e.Subsets, subset)
	}
	return e
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func targetPort(port corev1.ServicePort, pod *corev1.Pod) int32 {
	if port.TargetPort.Type == intstr.Int {
		return port.TargetPort.IntVal
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == port.TargetPort.StrVal {
				return p.ContainerPort
			}
		}
	}
	return port.Port
}

// sliceOf makes the EndpointSlice that says the same as the Endpoints.
//
//nolint:staticcheck // as above
func sliceOf(e *corev1.Endpoints, s *corev1.Service, cluster string) *discoveryv1.EndpointSlice {
	manager := "endpointslice-controller.k8s.io"
	if len(s.Spec.Selector) == 0 {
		manager = "endpointslicemirroring-controller.k8s.io"
	}
	owner := corev1.SchemeGroupVersion.WithKind("Service")
	labelled := withLabel(e.Labels, discoveryv1.LabelServiceName, s.Name)
	slice := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{
			Name:            fmt.Sprintf("%s-%s", s.Name, suffix(5, cluster, s.Namespace, s.Name, "slice")),
			GenerateName:    s.Name + "-",
			Namespace:       s.Namespace,
			Labels:          withLabel(labelled, discoveryv1.LabelManagedBy, manager),
			Annotations:     e.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s, owner)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{},
	}
	for _, subset := range e.Subsets {
		for _, p := range subset.Ports {
			slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol})
		}
		slice.Endpoints = append(slice.Endpoints, sliceEndpoints(subset.Addresses, true)...)
		slice.Endpoints = append(slice.Endpoints, sliceEndpoints(subset.NotReadyAddresses, false)...)
	}
	return slice
}

func sliceEndpoints(addresses []corev1.EndpointAddress, ready bool) []discoveryv1.Endpoint {
	var found []discoveryv1.Endpoint
	for _, a := range addresses {
		found = append(found, discoveryv1.Endpoint{
			Addresses: []string{a.IP}, NodeName: a.NodeName, TargetRef: a.TargetRef,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: new(false)},
		})
	}
	return found
}
