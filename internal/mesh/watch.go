package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Bounds of a Watcher.
const (
	maxWatched   = 64 // refs; each is a stream of the one connection
	maxMembers   = 1000
	watchSeconds = int64(300)             // after which a stream is opened anew
	firstPause   = 100 * time.Millisecond // before what failed is tried again, doubled each time
	longestPause = 5 * time.Second
	pollPause    = time.Second // between reads where watching is forbidden
	eventBuffer  = 256
)

// Event is one change of what a verdict rests on, as it was seen.
type Event struct {
	Ref        law.Ref
	law.Change           // What, Before, After
	At         time.Time // when it was seen, by the clock of this machine
	Since      time.Time // At where a stream told it; where it was missed and found later: when the stream was last alive
	Gone       bool      // the object is not there any more
}

// Came reports that the object was not there before.
func (e Event) Came() bool { return e.Before == law.OrNone("") }

// Rewritten reports that an object of the law was only written anew: it says of the weights what it said before.
func (e Event) Rewritten() bool {
	said := func(state string) string {
		words := strings.Fields(state)
		return strings.Join(words[min(2, len(words)):], " ") // behind what written says
	}
	return e.Ref.Law && !e.Gone && !e.Came() && said(e.Before) == said(e.After)
}

// Gap is a ref that could not be watched all the time, and why.
type Gap struct {
	Ref  law.Ref
	Text string // one sentence
}

// Watcher follows objects until its context ends or it is closed.
type Watcher struct {
	events chan Event
	ready  chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	gaps []Gap
}

// Watch follows the refs, each by the client of its cluster (by Ref.Cluster), and reports what changes of them: not
// each write, but each that changes what a verdict rests on. It begins with what is there when it reads first, opens a
// stream again where it breaks, through restarts of the API server too, and compares then what it missed: the Since of
// such a change lies back. Where watching is forbidden it reads once a second, and says so in Gaps. It never fails:
// what cannot be seen is a Gap. At most 64 refs are followed. The caller must drain Events or Close the Watcher.
func Watch(ctx context.Context, clients map[string]Client, refs []law.Ref) *Watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{events: make(chan Event, eventBuffer), ready: make(chan struct{}), cancel: cancel}
	var first sync.WaitGroup
	for i, ref := range refs {
		c, ok := clients[ref.Cluster]
		switch {
		case !ok:
			w.gap(ref, "it was not watched: no client of cluster "+untrusted.Safe(ref.Cluster))
			continue
		case i >= maxWatched:
			w.gap(ref, fmt.Sprintf("it was not watched: at most %d objects are", maxWatched))
			continue
		}
		first.Add(1)
		s := &stream{w: w, c: c, ref: ref, ready: sync.OnceFunc(first.Done)}
		w.wg.Go(func() {
			defer s.ready()
			s.follow(ctx)
		})
	}
	w.wg.Go(func() {
		first.Wait()
		close(w.ready)
	})
	go func() { // ends after all of the above, whom Close waits for
		w.wg.Wait()
		close(w.events)
	}()
	return w
}

// Ready is closed when each ref is followed, or known to be a Gap: what changes from then on is seen.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Events gives the changes, in the order in which they were seen; closed after Close, or when the context has ended.
func (w *Watcher) Events() <-chan Event { return w.events }

// Gaps are the refs that could not be watched all the time, each once.
func (w *Watcher) Gaps() []Gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.gaps)
}

// Close ends the streams and waits for them. Events that nobody took stay in the channel.
func (w *Watcher) Close() {
	w.cancel()
	w.wg.Wait()
}

func (w *Watcher) gap(ref law.Ref, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.ContainsFunc(w.gaps, func(g Gap) bool { return g.Ref == ref }) {
		w.gaps = append(w.gaps, Gap{ref, text})
	}
}

// stream follows one ref.
type stream struct {
	w     *Watcher
	c     Client
	ref   law.Ref
	ready func()

	known   bool // whether it was read before
	objects map[string]*unstructured.Unstructured
	state   string
	version string    // to watch from
	alive   time.Time // when the server last told something
	lost    bool      // what happens now is not seen
}

// follow reads and watches in turn until ctx ends.
func (s *stream) follow(ctx context.Context) {
	pause := firstPause
	defer func() {
		if s.lost {
			s.w.gap(s.ref, "it was not seen any more in the end: its API server did not answer")
		}
	}()
	for ctx.Err() == nil {
		err := s.read(ctx)
		if err == nil {
			s.lost = false
			err = s.watch(ctx)
		}
		s.lost = err != nil && ctx.Err() == nil
		switch {
		case ctx.Err() != nil:
			return
		case err == nil: // it ended as streams do
			pause = firstPause
			continue
		case apierrors.IsForbidden(err), apierrors.IsMethodNotSupported(err), apierrors.IsUnauthorized(err):
			s.w.gap(s.ref, "it may not be watched, so it was read once a second: "+law.Brief(err))
			pause, s.lost = pollPause, !s.known
		case s.known && (errors.Is(err, errStreamEnded) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err)):
			pause = firstPause
		case !s.known:
			s.w.gap(s.ref, "it could not be read at first: "+law.Brief(err))
		}
		s.ready()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if pause != pollPause {
			pause = min(2*pause, longestPause)
		}
	}
}

// resource is the API of the ref's objects.
func (s *stream) resource(c dynamic.Interface) dynamic.ResourceInterface {
	gvr := schema.GroupVersionResource{Group: s.ref.Group, Version: s.ref.Version, Resource: s.ref.Resource}
	return c.Resource(gvr).Namespace(s.ref.Namespace)
}

func (s *stream) options() metav1.ListOptions {
	if byLabel(s.ref) {
		return metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + s.ref.Name, Limit: maxMembers}
	}
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", s.ref.Name).String()}
}

// read takes what is there now, and reports it where it is not what was there before. Who may get an object but not
// list its kind is served too.
func (s *stream) read(ctx context.Context) error {
	objects := map[string]*unstructured.Unstructured{}
	l, err := s.resource(s.c.dynamic).List(ctx, s.options())
	switch {
	case err == nil:
		for i := range l.Items {
			objects[l.Items[i].GetName()] = &l.Items[i]
		}
		s.version = l.GetResourceVersion()
	case apierrors.IsForbidden(err) && !byLabel(s.ref):
		u, err := s.resource(s.c.dynamic).Get(ctx, s.ref.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		s.version = ""
		if err == nil {
			objects[u.GetName()], s.version = u, u.GetResourceVersion()
		}
	case apierrors.IsNotFound(err): // no such kind in this cluster: nothing of it can be there
		s.version = ""
	default:
		return err
	}
	s.objects = objects
	s.compare(ctx, s.alive)
	return nil
}

var errStreamEnded = errors.New("the stream ended")

// watch reports changes until the stream ends; nil where the server ended it after its time.
func (s *stream) watch(ctx context.Context) error {
	o := s.options()
	o.Limit, o.ResourceVersion, o.TimeoutSeconds, o.AllowWatchBookmarks = 0, s.version, new(watchSeconds), true
	opened := time.Now()
	in, err := s.resource(s.c.watcher).Watch(ctx, o)
	if err != nil {
		return err
	}
	defer in.Stop()
	s.ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-in.ResultChan():
			switch {
			case !open && time.Since(opened) < time.Duration(watchSeconds)*time.Second/2:
				return errStreamEnded
			case !open:
				return nil
			case e.Type == watch.Error:
				return apierrors.FromObject(e.Object)
			}
			s.take(ctx, e)
		}
	}
}

// take applies one event of the stream.
func (s *stream) take(ctx context.Context, e watch.Event) {
	u, ok := e.Object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		if len(s.objects) < maxMembers {
			s.objects[u.GetName()] = u
		}
	case watch.Deleted:
		delete(s.objects, u.GetName())
	default: // a bookmark
	}
	s.compare(ctx, time.Now())
}

// compare reports a state that is not the one before, which held at since and perhaps longer.
func (s *stream) compare(ctx context.Context, since time.Time) {
	at := time.Now()
	s.alive = at
	now := stateOf(s.ref, s.objects)
	if s.known && now != s.state {
		e := Event{
			Ref: s.ref, At: at, Since: since, Gone: len(s.objects) == 0,
			Change: law.Change{What: s.ref.What, Before: law.OrNone(s.state), After: law.OrNone(now)},
		}
		select {
		case s.w.events <- e:
		case <-ctx.Done():
			return
		}
	}
	s.known, s.state = true, now
}

// byLabel reports whether the ref stands for all objects that bear its Service's label.
func byLabel(r law.Ref) bool { return r.Resource == "endpointslices" }

// stateOf is what a verdict rests on of the objects that a ref stands for, in words; "" where there is none. A write
// that leaves it the same, as to an object's status or to a pod's labels, is no change.
func stateOf(r law.Ref, objects map[string]*unstructured.Unstructured) string {
	if len(objects) == 0 {
		return ""
	}
	if byLabel(r) {
		return slicesState(objects)
	}
	for _, u := range objects {
		switch r.Resource {
		case "services":
			return stateAs(u, func(s *core.Service) string { return readService(s).Identity() })
		case "pods":
			return stateAs(u, podState)
		case "endpoints":
			return stateAs(u, endpointsState)
		}
		return strings.TrimSpace(law.Written(u.GetGeneration(), u.GetResourceVersion()) + " " + r.WeightsText(u))
	}
	return ""
}

// stateAs is the state of an object of a known kind.
func stateAs[T any](u *unstructured.Unstructured, state func(*T) string) string {
	var o T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &o); err != nil {
		return "unreadable"
	}
	return state(&o)
}

func slicesState(objects map[string]*unstructured.Unstructured) string {
	ready := 0
	for _, u := range objects {
		var s discoveryv1.EndpointSlice
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s) != nil {
			continue
		}
		for _, e := range sliceEndpoints(&s, "") {
			if e.Ready {
				ready++
			}
		}
	}
	return law.SomeReady(ready)
}

func podState(pod *core.Pod) string {
	p := law.Pod{UID: string(pod.UID)}
	readProxy(pod, &p)
	return strings.TrimSpace(p.UID + " " + p.ProxyState())
}

//nolint:staticcheck // deprecated as it is, it is what service mirrors write
func endpointsState(e *core.Endpoints) string {
	var parts []string
	for _, s := range e.Subsets {
		for _, a := range s.Addresses {
			parts = append(parts, a.IP)
		}
		for _, a := range s.NotReadyAddresses {
			parts = append(parts, a.IP+" not ready")
		}
	}
	if len(parts) > maxNamed {
		parts = append(parts[:maxNamed], fmt.Sprintf("and %d more", len(parts)-maxNamed))
	}
	return untrusted.Cut(strings.Join(parts, ", "), 500)
}
