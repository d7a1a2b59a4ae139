package mesh

import "sync"

// memo keeps the answers of one API server for the length of one look at it, so that what several questions need is read once.
// A nil memo keeps nothing.
type memo struct {
	mu   sync.Mutex
	held map[string]any
}

type answer[T any] struct {
	value T
	err   error
}

// remember is read's answer, or the one that it gave before under the key. Errors are kept too: a server that refused once need
// not be asked again in the same look.
func remember[T any](m *memo, key string, read func() (T, error)) (T, error) {
	if m == nil {
		return read()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.held[key].(answer[T]); ok {
		return a.value, a.err
	}
	v, err := read()
	if m.held == nil {
		m.held = map[string]any{}
	}
	m.held[key] = answer[T]{v, err}
	return v, err
}

// remembered is the client with a memory: the one that it has, or a new one.
func (c Client) remembered() Client {
	if c.memo != nil {
		return c
	}
	return c.Remembering()
}

// Remembering is the client with a memory: the same question gets the same answer for as long as it is used. It is for one look
// at a cluster; a later look needs another.
func (c Client) Remembering() Client {
	c.memo = &memo{}
	return c
}
