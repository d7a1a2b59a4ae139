//go:build !race

package mesh

const raceFactor = 2 // other tests run beside this one
