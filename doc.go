// Package splitbench is the root of the module and holds no code: what the program does and in which room each part of
// it lives is told by docs/design.md, and its commands are in cmd/splitbench.
//
// The tests beside this file hold what is true of the whole tree: who may import whom, which room may use which
// third-party module, and that what is exported says what it means.
package splitbench
