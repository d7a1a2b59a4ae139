package mesh

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// requestTimeout bounds a single API call where the caller's configuration sets no bound: an API server that accepts
// connections and never answers must not hang a check.
const requestTimeout = 15 * time.Second

// Client reads one API server.
type Client struct {
	Context string // name of the kubeconfig context, as the user says it
	Grant   string // command that grants what may be lacking, for a person to paste; may be empty
	server  string
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	watcher dynamic.Interface // without a bound on how long an answer may take: a watch is one long answer

	metadata metadata.Interface // names without contents, for Secrets
	wire     http.RoundTripper  // below all of them
	date     *dateHeader
	memo     *memo
	wide     bool // see Wide
}

// Connect makes the clients of one API server; it does not call it yet. Client-side rate limits are off, because a
// check is a bounded number of calls and the server has its own limits; a timeout of 15 s a call is set where cfg has
// none. Warnings of the server (deprecated Endpoints, which mirrors still are) are dropped: nobody at the terminal can
// act on them.
func Connect(cfg *rest.Config, contextName string) (Client, error) {
	own := Guarded(cfg)
	own.QPS = -1
	own.RateLimiter = nil
	own.WarningHandlerWithContext = rest.NoWarnings{}
	own.WarningHandler = rest.NoWarnings{}
	// One wire format for typed and custom objects. Left empty, typed clients send protobuf, which an API server that is
	// not Kubernetes' own (an embedded one, a proxy) may not read.
	own.ContentType, own.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	own.Timeout = cmp.Or(own.Timeout, requestTimeout)
	date := &dateHeader{}
	own.Wrap(date.wrap)
	endless := rest.CopyConfig(own)
	endless.Timeout = 0
	kube, err1 := kubernetes.NewForConfig(own)
	dyn, err2 := dynamic.NewForConfig(own)
	watcher, err3 := dynamic.NewForConfig(endless)
	meta, err4 := metadata.NewForConfig(own)
	wire, err5 := rest.TransportFor(own)
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return Client{}, usage("connect", "--context "+untrusted.Safe(contextName), law.Brief(err), "check the kubeconfig")
	}
	return Client{
		Context: contextName, server: own.Host, kube: kube, dynamic: dyn, watcher: watcher, metadata: meta, date: date,
		wire: wire,
	}, nil
}

// Kube is the client for what is no reading: runner pods are made with it.
func (c Client) Kube() kubernetes.Interface { return c.kube }

// Redial has the next call dial anew: a connection that something on the way has forgotten looks alive from here.
func (c Client) Redial() { utilnet.CloseIdleConnectionsFor(c.wire) }

// Reach reports whether the API server answers.
func (c Client) Reach(ctx context.Context) error {
	if _, _, err := c.version(ctx); err != nil {
		return apiError(c, "read", "version", err)
	}
	return nil
}

// version asks who is there: the first call, so that a dead API server is named as such. Its answer also tells how far
// the server's clock is ahead of ours, in milliseconds.
func (c Client) version(ctx context.Context) (string, *int64, error) {
	type told struct {
		version string
		skewMs  *int64
	}
	t, err := remember(c.memo, "version", func() (told, error) {
		info, err := discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery()).ServerVersionWithContext(ctx)
		if err != nil {
			return told{}, err
		}
		return told{untrusted.Safe(info.GitVersion), c.date.skewMs()}, nil
	})
	return t.version, t.skewMs, err
}

// groups lists the API groups that the server serves, in two calls; nil where it would not tell, or where there is
// none.
func (c Client) groups(ctx context.Context) (*metav1.APIGroupList, error) {
	if c.kube == nil {
		return nil, nil
	}
	return remember(c.memo, "groups", func() (*metav1.APIGroupList, error) {
		groups, err := discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery()).ServerGroupsWithContext(ctx)
		if apierrors.IsForbidden(err) {
			return nil, nil
		}
		return groups, err
	})
}

// errNotServed says that the API server has no version of a resource that this package can read.
var errNotServed = errors.New("not served")

// list reads all objects of r in the namespace ("" for all namespaces) in the newest version that has it. A group may
// serve a version for another of its kinds only, so a 404 on a list means "try the next version". errNotServed if none
// has it.
func (c Client) list(ctx context.Context, r law.Resource, namespace string) ([]unstructured.Unstructured, error) {
	read := func(ns string) ([]unstructured.Unstructured, error) {
		return remember(c.memo, "list "+r.Group+"/"+r.Plural+" "+ns, func() ([]unstructured.Unstructured, error) {
			return c.listOf(ctx, r, ns)
		})
	}
	if c.wide && namespace != "" {
		if all, err := read(""); err == nil { // else all namespaces may not be listed, or hold too many
			elsewhere := func(u unstructured.Unstructured) bool { return u.GetNamespace() != namespace }
			return slices.DeleteFunc(slices.Clone(all), elsewhere), nil
		}
	}
	return read(namespace)
}

func (c Client) listOf(ctx context.Context, r law.Resource, namespace string) ([]unstructured.Unstructured, error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range r.ServedBy(groups) {
		gvr := schema.GroupVersionResource{Group: r.Group, Version: v, Resource: r.Plural}
		items, err := c.pages(ctx, gvr, namespace)
		if apierrors.IsNotFound(err) {
			continue
		}
		return items, err
	}
	return nil, fmt.Errorf("%s.%s: %w", r.Plural, r.Group, errNotServed)
}

// Bounds of a list: a page keeps one answer small, the total keeps a hostile or huge cluster from filling memory.
const (
	pageSize  = 500
	maxObject = 5000
)

func (c Client) pages(ctx context.Context, gvr schema.GroupVersionResource, ns string) ([]unstructured.Unstructured,
	error,
) {
	items := func(l *unstructured.UnstructuredList) []unstructured.Unstructured { return l.Items }
	out, more, err := paged(ctx, c.dynamic.Resource(gvr).Namespace(ns), metav1.ListOptions{}, maxObject, items)
	if err == nil && more {
		return nil, fmt.Errorf("more than %d %s", maxObject, gvr.Resource)
	}
	return out, err
}

// memo keeps the answers of one API server for the length of one look at it, so that what several questions need is
// read once. A nil memo keeps nothing.
type memo struct {
	mu   sync.Mutex
	held map[string]any
}

// answer is one question's, given once: who asks at the same time waits for it.
type answer[T any] struct {
	once  sync.Once
	value T
	err   error
}

// remember is read's answer, or the one that it gave before under the key. Errors are kept too: a server that refused
// once need not be asked again in the same look.
func remember[T any](m *memo, key string, read func() (T, error)) (T, error) {
	if m == nil {
		return read()
	}
	m.mu.Lock()
	if m.held == nil {
		m.held = map[string]any{}
	}
	a, ok := m.held[key].(*answer[T])
	if !ok {
		a = &answer[T]{}
		m.held[key] = a
	}
	m.mu.Unlock()
	a.once.Do(func() { a.value, a.err = read() })
	return a.value, a.err
}

// Wide is the client for a look at many splits: it lists a namespace, or the cluster, once, where for one split it
// would ask for that split's objects alone.
func (c Client) Wide() Client {
	c.wide = true
	return c
}

// remembered is the client with a memory: the one that it has, or a new one.
func (c Client) remembered() Client {
	if c.memo != nil {
		return c
	}
	return c.Remembering()
}

// Remembering is the client with a memory: the same question gets the same answer for as long as it is used. It is for
// one look at a cluster; a later look needs another.
func (c Client) Remembering() Client {
	c.memo = &memo{}
	return c
}

// getter and lister are parts of a typed client: of Pods, say.
type (
	getter[T any] interface {
		Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	}
	lister[L any] interface {
		List(ctx context.Context, o metav1.ListOptions) (L, error)
	}
)

// get reads one object by its name, once for each memory. what tells its kind apart from others.
func get[T any](ctx context.Context, c Client, what, ns, name string, from getter[T]) (T, error) {
	return remember(c.memo, what+" "+ns+"/"+name, func() (T, error) { return from.Get(ctx, name, metav1.GetOptions{}) })
}

// maxPages bounds a list whose pages hold little or nothing and always name another.
const maxPages = 64

// paged reads a list page by page until it ends or has most items, and reports whether there was more. A continuation
// that has expired (410, the server has compacted its history meanwhile) begins the list anew, once.
func paged[T any, L metav1.ListInterface](
	ctx context.Context, from lister[L], opts metav1.ListOptions, most int, items func(L) []T,
) ([]T, bool, error) {
	var out []T
	opts.Limit = pageSize
	ctx = withinList(ctx)
	again := false
	for pages := 1; ; pages++ {
		l, err := from.List(ctx, opts)
		if err != nil && opts.Continue != "" && !again && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
			out, opts.Continue, again = nil, "", true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		out = append(out, items(l)...)
		if l.GetContinue() == "" || len(out) >= most || pages >= maxPages {
			return out[:min(len(out), most)], l.GetContinue() != "" || len(out) > most, nil
		}
		opts.Continue = l.GetContinue()
	}
}

// Kind classes an Error for those who act on it.
type Kind string

// The kinds. Usage is the command line's fault; the others are the cluster's answer.
const (
	KindUsage       Kind = "usage"       // the query itself is malformed or asks for what this version cannot do
	KindNotFound    Kind = "not found"   // an object is not there
	KindAmbiguous   Kind = "ambiguous"   // several objects fit where one must be named
	KindForbidden   Kind = "forbidden"   // no permission, or not logged in
	KindUnreachable Kind = "unreachable" // the API server did not answer
	KindServer      Kind = "server"      // the API server answered with an error
)

// Error is what ends a discovery: what was tried, on which object, why it did not work and what to do about it.
type Error struct {
	Kind   Kind
	Op     string // e.g. "find source pod"
	Object string // flag or object, e.g. `--from deploy/frontend`
	Cause  error
	Hint   string // what to do; may be empty
}

// Error is one sentence: what was tried, on what, what was seen and what to do. The cause may quote a server, so it is
// made safe to print.
func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	s += ": " + untrusted.Safe(e.Cause.Error())
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the cause, so that errors.Is sees context.Canceled and API statuses.
func (e *Error) Unwrap() error { return e.Cause }

func notFound(op, object, cause, hint string) *Error {
	return &Error{Kind: KindNotFound, Op: op, Object: object, Cause: errors.New(cause), Hint: hint}
}

func usage(op, object, cause, hint string) *Error {
	return &Error{Kind: KindUsage, Op: op, Object: object, Cause: errors.New(cause), Hint: hint}
}

// apiError types what client-go returned. The context that ended is never dressed up as the server's fault.
func apiError(c Client, op, object string, err error) *Error {
	e := &Error{Kind: KindServer, Op: op, Object: object, Cause: fmt.Errorf("context %s: %w", untrusted.Safe(c.Context),
		err)}
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind = KindUnreachable
	case apierrors.IsForbidden(err):
		e.Kind = KindForbidden
		e.Hint = "use a context that may, or have somebody who may grant it"
		if c.Grant != "" {
			e.Hint += ": " + c.Grant
		}
	case apierrors.IsUnauthorized(err):
		e.Kind = KindForbidden
		e.Hint = "log in to the cluster again; to see as whom you are known: " +
			untrusted.Shell("kubectl", "--context", untrusted.Safe(c.Context), "auth", "whoami")
	case apierrors.IsNotFound(err):
		e.Kind = KindNotFound
	case errors.As(err, new(*url.Error)), errors.Is(err, context.DeadlineExceeded):
		e.Kind = KindUnreachable
		e.Hint = cmp.Or(certificateHint(c, err), "is the API server at "+untrusted.Safe(c.server)+
			" up and reachable from here?")
	}
	return e
}

// certificateHint says what to do about a certificate that is not accepted: the server is up. "" for other errors.
func certificateHint(c Client, err error) string {
	server, name := untrusted.Safe(c.server), untrusted.Safe(c.Context)
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "the server answers, but the authority in context " + name + " did not sign its certificate: is this that " +
			"cluster? fetch its kubeconfig again, or name the authority with --certificate-authority"
	case errors.As(err, new(x509.HostnameError)):
		return "the server answers with a certificate for other names: use one of those in the kubeconfig, or say which " +
			"to expect with --tls-server-name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet: have it renewed, and look at this machine's clock"
	case errors.As(err, &invalid):
		return "the server's certificate cannot be used: have it renewed"
	case errors.As(err, new(tls.AlertError)):
		return "the server answers, but does not accept the client certificate of context " + name +
			": log in to that cluster again, or fetch its kubeconfig again"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "what answers at " + server + " does not speak TLS: look at the server of context " + name +
			" in the kubeconfig"
	}
	return ""
}
