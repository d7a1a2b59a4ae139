//go:build race

package mesh

// raceFactor is how much longer things may take under the race detector.
const raceFactor = 10
