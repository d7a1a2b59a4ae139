package podexec

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// What the API server refuses is named as Exec names it: no permission, or no login.
func TestEphemeralRefusals(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusForbidden:    "needs the verb patch on pods/ephemeralcontainers",
		http.StatusUnauthorized: "log in again",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, http.StatusText(status), status)
		}))
		_, err := AddEphemeral(t.Context(), &rest.Config{Host: srv.URL}, Target{"test", "pod", "app"}, Ephemeral{Image: "busybox", Command: []string{"sleep"}})
		srv.Close()
		if !is[*ForbiddenError](err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", status, err, want)
		}
	}
}
