//go:build unix

package attack

import (
	"errors"
	"syscall"
)

// errnoClass sorts the errors that the operating system numbers.
func errnoClass(err error) (ErrorClass, bool) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return OK, false
	}
	switch errno {
	case syscall.ECONNRESET, syscall.EPIPE:
		return ErrReset, true
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return ErrDial, true
	case syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL:
		return ErrFiles, true
	case syscall.ETIMEDOUT:
		return ErrTimeout, true
	}
	return OK, false
}
