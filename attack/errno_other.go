//go:build !unix

package attack

// errnoClass sorts the errors that the operating system numbers; here none is known.
func errnoClass(error) (ErrorClass, bool) { return OK, false }
