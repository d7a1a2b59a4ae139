package preflight

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// offMeshCheck is the control experiment: a client outside the mesh must be refused by the gateway of the other cluster. If it is
// not, what a run measures need not have come through the mesh at all.
func offMeshCheck() Check {
	return Check{
		ID: "SB037", Category: "client", Name: "a client outside the mesh is refused", Severity: Fatal,
		When:  func(v View) bool { return v.OffMesh },
		After: []string{"SB032", "SB010", "SB011", "SB012"}, Func: refusedOffMesh,
		Hint: func(s View) string {
			switch {
			case s.Source.Meshed:
				return "name a pod without a proxy: --from pod/NAME --expect-off-mesh"
			case s.Probed == nil:
				return "have the pod ask: add --probe"
			}
			return "see what lets it in: " + kubectl(s, s.Split.Namespace, "get", "services", "-o", "wide")
		},
	}
}

func refusedOffMesh(s View) Finding {
	p := s.Source
	switch {
	case p.Name == "":
		return about(aboutSource, Unknown, "no source pod was named")
	case p.Meshed:
		return about(aboutSource, Failed, fmt.Sprintf("pod %s has a proxy (container %s): it is no client outside the mesh", untrusted.Safe(p.Name), untrusted.Safe(p.ProxyContainer)))
	}
	f := newFindings()
	behind := 0
	for _, b := range s.Backends {
		if b.Mirror == nil || b.Mirror.Mode != law.MirrorGateway {
			continue
		}
		behind++
		name := "backend " + untrusted.Safe(b.Name)
		switch {
		case !b.Service.Found:
			f.add(Unknown, name+" has no Service", backendTags(b)...)
		case s.Probed == nil:
			f.add(Unknown, fmt.Sprintf("pod %s has no proxy; that %s refuses it was not seen: what is lacking is a request from the pod (--probe)", untrusted.Safe(p.Name), name), backendTags(b)...)
		case len(s.Probed.Direct[b.Name]) == 0:
			f.add(Unknown, name+" was not asked", backendTags(b)...)
		default:
			a := s.Probed.Direct[b.Name][0]
			switch {
			case a.Empty:
				f.ok(fmt.Sprintf("%s gives pod %s an empty reply", name, untrusted.Safe(p.Name)))
			case a.Status == 0 && strings.Contains(a.Error, "reset by peer"):
				f.ok(fmt.Sprintf("%s cuts pod %s off: connection reset by peer", name, untrusted.Safe(p.Name)))
			case a.Status == http.StatusForbidden:
				f.ok(fmt.Sprintf("%s refuses pod %s with status %d", name, untrusted.Safe(p.Name), a.Status))
			case a.Status > 0: // an application that says 404 was reached as well as one that says 200
				f.add(Failed, fmt.Sprintf("%s answered pod %s, which has no proxy, with status %d", name, untrusted.Safe(p.Name), a.Status), backendTags(b)...)
			default:
				f.add(Unknown, fmt.Sprintf("%s gave pod %s %s: whether it would refuse is not known", name, untrusted.Safe(p.Name), describe(a)), backendTags(b)...)
			}
		}
	}
	if behind == 0 {
		return about(aboutSplit, Unknown, "no backend is behind a gateway, which is what refuses clients outside the mesh")
	}
	return f.seen("")
}
