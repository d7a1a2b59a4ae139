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

// Put a program into the container; it proves that it arrived by printing its own hash.
func ExampleContainer_Upload() {
	server := startServer(nil)
	defer server.stop()
	ctx := context.Background()

	c, err := New(server.config(), Target{Namespace: "test", Pod: "frontend-5d4c", Container: "nginx"}, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	program := []byte("#!/bin/sh\nsha256sum \"$0\"\n")
	name, err := UploadName(program, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	path, err := c.Upload(ctx, Upload{Data: program, Name: name, TryArgs: []string{"--version"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.HasSuffix(path, name), os.Remove(path))
	// Output: true <nil>
}
