// Command splitbench proves that the traffic split you declared is the split you get, measured from inside the mesh.
//
// This package is the only place that knows flags, environment variables, standard streams and exit codes. It decides
// nothing: a command reads its flags, hands them on and prints what comes back. stdout carries the result, stderr the
// talk.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args, process()))
}
