package podexec

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Run a command, read its output, and tell how it ended.
func ExampleContainer_Exec() {
	server := startServer(nil)
	defer server.stop()
	ctx := context.Background()

	c, err := New(server.config(), Target{Namespace: "test", Pod: "frontend-5d4c", Container: "nginx"}, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var out bytes.Buffer
	err = c.Exec(ctx, []string{"sh", "-c", "tr a-z A-Z; echo no more >&2; exit 3"}, strings.NewReader("hello"), &out, nil)
	var exit *ExitError
	if errors.As(err, &exit) {
		fmt.Println(out.String(), exit.Code, c.Protocol())
	}
	fmt.Println(err)
	// Output:
	// HELLO 3 websocket
	// exec in test/frontend-5d4c/nginx: sh: exit code 3: no more
}

// Put a program into the container and run it.
func ExampleContainer_Upload() {
	server := startServer(nil)
	defer server.stop()
	ctx := context.Background()

	c, err := New(server.config(), Target{Namespace: "test", Pod: "frontend-5d4c", Container: "nginx"}, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	program := []byte("#!/bin/sh\necho $1 runs\n")
	name, err := UploadName(program, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := c.Upload(Upload{Data: program, Name: name})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := p.Exec(ctx, []string{"it"}, nil, os.Stdout, nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.HasSuffix(p.Sent().Path, name), os.Remove(p.Sent().Path))
	// Output:
	// it runs
	// true <nil>
}
