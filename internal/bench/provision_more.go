package bench

import (
	"context"
)

// curl drives the image's own curl or wget.
func (p providing) curl(context.Context, context.Context) (session, string, error) {
	return nil, "", &errNotThere{"not built"}
}

// ephemeral adds an ephemeral container.
func (p providing) ephemeral(context.Context, context.Context) (session, string, error) {
	return nil, "", &errNotThere{"not built"}
}
