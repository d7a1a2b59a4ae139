package mesh

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// manySplits adds splits with a root, a backend of their own and pods behind them.
func manySplits(s *apiServer, splits, pods int) {
	for i := range splits {
		s.put(fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: app%d, namespace: test, uid: u%d}, spec: {clusterIP: 10.1.%d.1, selector: {app: app%d}, ports: [{name: http, port: 80}]}}", i, i, i, i))
		s.put(fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: canary%d, namespace: test, uid: c%d}, spec: {clusterIP: 10.1.%d.2, selector: {app: canary%d}, ports: [{name: http, port: 80}]}}", i, i, i, i))
		s.put(fmt.Sprintf("{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: split%02d, namespace: test}, spec: {service: app%d, backends: [{service: app%d, weight: 90}, {service: canary%d, weight: 10}, {service: podinfo-east, weight: 1}]}}", i, i, i, i))
	}
	for i := range pods {
		app := fmt.Sprintf("app%d", i%max(splits, 1))
		s.put(fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: pod%05d, namespace: test, labels: {app: %s}}, spec: {containers: [{name: main}]}, status: {phase: Running}}", i, app))
	}
}

// A look at fifty splits asks a bounded number of questions: lists, each once. Neither splits nor pods add any.
func TestFiftySplitsInABoundedNumberOfCalls(t *testing.T) {
	calls, last := map[int][2]int{}, ""
	for _, n := range []int{10, 50} {
		west, east := clusters(t)
		manySplits(west, n, 3_000)
		local, remote := west.client("west").Remembering().Wide(), east.client("east").Remembering().Wide()
		west.put(controlPlane)
		reached, asked := 0, 0
		teller := tellerFunc{reach: func() { reached++ }, ask: func(_ law.Pod, q law.Question) (law.Law, error) {
			asked++
			return law.Law{}, fmt.Errorf("nothing is told of Service %s", q.Root.Name)
		}}
		q := query()
		q.Use, q.Teller = law.UseAuto, teller
		began := time.Now()
		found, err := Find(t.Context(), local, "test", nil)
		if err != nil || len(found) != n+1 {
			t.Fatalf("%d splits, %v", len(found), err)
		}
		for _, f := range found {
			q.Namespace, q.Split, q.Port = f.Namespace, f.Split, 0
			s, err := Discover(t.Context(), local, []Remote{{Client: remote}}, q)
			if err != nil {
				t.Fatal(err)
			}
			if !s.Split.Found || !s.Root.Found || f.Split != "ts/podinfo" && (len(s.Backends) != 3 || !s.Backends[2].Mirror.RemoteFound || s.Backends[0].Pods.Looked == 0 || !s.Backends[0].Pods.More) {
				t.Errorf("%s: %+v", f.Split, s.Backends)
			}
		}
		if reached != 1 || asked != n+1 {
			t.Errorf("the control plane was reached %d times and asked %d times", reached, asked)
		}
		if took := time.Since(began); n == 50 && took > 5*time.Second*raceFactor {
			t.Errorf("%d splits took %s", n, took)
		}
		calls[n], last = [2]int{len(west.calls), len(east.calls)}, strings.Join(west.calls, "\n")
	}
	if calls[10] != calls[50] || calls[50][0] > 60 || calls[50][1] > 30 {
		t.Errorf("calls by splits: %v\n%s", calls, last)
	}
}

// Ten thousand pods behind the source's selector: the first page is enough.
func TestTenThousandPods(t *testing.T) {
	west, east := clusters(t)
	manySplits(west, 1, 10_000)
	q := query()
	q.Split = "ts/split00"
	s := mustDiscover(t, west, east, q)
	if p := s.Backends[0].Pods; p.Looked != pageSize || !p.More || p.UnmeshedPods != pageSize || len(p.Unmeshed) != maxNamed || len(p.Built) != maxBuilt {
		t.Errorf("looked at %d, more %v, unmeshed %d, named %d, recorded %d", p.Looked, p.More, p.UnmeshedPods, len(p.Unmeshed), len(p.Built))
	}
	if n := len(west.calls); n > 50 {
		t.Errorf("%d calls", n)
	}
}

// Whatever an API server answers, a look ends with one sentence that names what was asked for, or with a note.
func TestRefusalsAreOneSentence(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests, http.StatusInternalServerError} {
		for prefix, object := range map[string]string{
			"/api/v1/namespaces/test/services": "Services in namespace test", "/apis/split.smi-spec.io": "TrafficSplits in namespace test",
			"/apis/apps/v1/namespaces/test/deployments": "--from deploy/frontend", "/apis/discovery.k8s.io": "", "/api/v1/namespaces/linkerd": "",
		} {
			t.Run(fmt.Sprintf("%d %s", code, prefix), func(t *testing.T) {
				west, east := clusters(t)
				west.refuse[prefix] = code
				s, err := discover(t, west, east, query())
				if err == nil {
					return // what was refused is unread in the Snapshot, or absent; checks say which
				}
				var e *Error
				if !errors.As(err, &e) || strings.Contains(e.Error(), "\n") || !strings.Contains(e.Error(), object) || object == "" {
					t.Errorf("%v", err)
				}
				if len(s.Clusters) != 1 || len(s.Access) == 0 {
					t.Errorf("what was read until then is lost: %+v", s.Clusters)
				}
			})
		}
	}
}

// A list whose continuation has expired is begun anew, once.
func TestExpiredListIsBegunAgain(t *testing.T) {
	west, east := clusters(t)
	manySplits(west, pageSize+10, 0)
	west.expire = 1
	if s := mustDiscover(t, west, east, query()); !s.Split.Found {
		t.Error("the split was not found")
	}
	west, east = clusters(t)
	manySplits(west, pageSize+10, 0)
	west.expire = 100
	_, err := discover(t, west, east, query())
	if err == nil || !strings.Contains(err.Error(), "in namespace test") {
		t.Errorf("%v", err)
	}
}

// An API server that accepts connections and never answers ends as one that cannot be reached, whichever cluster it is of.
func TestHangingRemote(t *testing.T) {
	west, _ := clusters(t)
	s, err := Discover(t.Context(), west.client("west"), []Remote{{Cluster: "east", Client: mute(t)}}, query())
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Clusters[1]; c.Problem == "" || !strings.Contains(c.Problem, "connect --remote-context mute") {
		t.Errorf("%+v", c)
	}
}
