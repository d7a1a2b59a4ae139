package mesh

import (
	"context"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Access is one permission and whether the API server grants it to this user.
type Access struct {
	Verb        string `json:"verb"`
	Group       string `json:"group"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource"`
	Namespace   string `json:"namespace"`

	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // of the authorizer; often empty
}

// Review asks the API server whether each access is allowed, in the same order. Asking needs no permission of its own.
func Review(ctx context.Context, c Client, wanted []Access) ([]Access, error) {
	out := make([]Access, 0, len(wanted))
	for _, a := range wanted {
		review := &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorization.ResourceAttributes{
				Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace,
			},
		}}
		got, err := c.kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, apiError(c, "ask for permission", a.Verb+" "+a.Resource+"/"+a.Subresource, err)
		}
		a.Allowed, a.Reason = got.Status.Allowed && !got.Status.Denied, Safe(got.Status.Reason)
		out = append(out, a)
	}
	return out, nil
}

// execAccess is what running the agent needs. Kubernetes asks for create on exec over SPDY; over WebSocket, whose
// handshake is a GET, it asks for get, and newer servers for create as well.
func execAccess(namespace string) []Access {
	return []Access{
		{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: namespace},
		{Verb: "get", Resource: "pods", Subresource: "exec", Namespace: namespace},
	}
}
