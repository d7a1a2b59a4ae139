package preflight

import (
	"fmt"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// traefikDraws is the client check of a split that Traefik itself carries out: no pod need be meshed, and Traefik's Service
// must be named, since its pods are what takes turns. The second result is false for every other split.
func traefikDraws(s View) (Finding, bool) {
	if s.Law.Provider != law.ProviderTraefik {
		return Finding{}, false
	}
	if s.Through == nil {
		return about(aboutSource, Failed, "Traefik carries this split out, not a proxy of the client: name its Service with --through svc/NAME"), true
	}
	return about(aboutSource, OK, fmt.Sprintf("Traefik carries this split out, in %d pods behind Service %s", len(s.Through.Pods), untrusted.Safe(s.Through.Service.Name))), true
}
