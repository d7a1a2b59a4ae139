// Package nearest finds what somebody who made a typing error meant. It knows words and nothing of what they name, and
// it would rather say nothing than guess: what is farther away than a slip in every three letters is not offered.
package nearest

import "strings"

// To returns the candidate that is nearest to the word, the first of several; "" where none is near. A word without a
// slash is compared with what stands behind that of KIND/NAME.
func To(word string, candidates []string) string {
	best, least := "", (len(word)+2)/3+1
	for _, c := range candidates {
		name := strings.ToLower(c)
		if !strings.Contains(word, "/") {
			name = name[strings.LastIndex(name, "/")+1:]
		}
		if d := slips(strings.ToLower(word), name); d < least {
			best, least = c, d
		}
	}
	return best
}

// Question is "did you mean NAME?", or "" where no candidate is near.
func Question(word string, candidates []string) string {
	if n := To(word, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

// slips counts the letters that were left out, put in, exchanged or swapped with their neighbour: the distance of
// Damerau and Levenshtein, in the form that edits no part twice.
func slips(a, b string) int {
	before, last, now := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			now[j+1] = min(last[j+1]+1, now[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last, now = last, now, make([]int, len(b)+1)
	}
	return last[len(b)]
}
