package record

import "fmt"

// UsageError says that the command line or a local file is at fault: nothing was sent.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef is a UsageError with a formatted cause.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }
