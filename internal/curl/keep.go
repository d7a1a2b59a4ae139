package curl

import (
	"bytes"
	"strings"
)

// keepLines leaves the lines that hold all strings of one of the sets, as the agent does in the pod.
func keepLines(body []byte, sets [][]string) []byte {
	var out []byte
	for line := range bytes.Lines(body) {
		for _, set := range sets {
			if holdsAll(string(line), set) {
				out = append(out, line...)
				break
			}
		}
	}
	return out
}

func holdsAll(line string, set []string) bool {
	for _, s := range set {
		if !strings.Contains(line, s) {
			return false
		}
	}
	return true
}
