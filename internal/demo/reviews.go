package demo

import (
	"io"
	"mime"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serveReview answers the self reviews: the one user there is may do everything.
func (c *cluster) serveReview(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	x := write{target: t, body: body}
	x.format, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	o, err := x.read()
	if err != nil {
		return err
	}
	review := o.Object
	review["apiVersion"], review["kind"] = t.apiVersion(t.version), t.Kind
	switch t.Kind {
	case "SelfSubjectAccessReview":
		review["status"] = authorizationv1.SubjectAccessReviewStatus{Allowed: true}
	case "SelfSubjectRulesReview":
		all := []string{"*"}
		review["status"] = authorizationv1.SubjectRulesReviewStatus{
			ResourceRules:    []authorizationv1.ResourceRule{{Verbs: all, APIGroups: all, Resources: all}},
			NonResourceRules: []authorizationv1.NonResourceRule{{Verbs: all, NonResourceURLs: all}},
		}
	case "SelfSubjectReview":
		review["metadata"] = map[string]any{"creationTimestamp": metav1.Now()}
		review["status"] = authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{
			Username: "splitbench-demo", Groups: []string{"system:masters", "system:authenticated"},
		}}
	}
	writeJSON(w, http.StatusCreated, review)
	return nil
}
