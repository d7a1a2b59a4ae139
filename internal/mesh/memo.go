package mesh

import "sync"

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
