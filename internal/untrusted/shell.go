package untrusted

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shell writes a command so that a POSIX shell reads the same words. It is for people to paste; nothing of ours runs
// it.
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; w == "" || w[0] == '~' || strings.IndexFunc(w, needsQuotes) >= 0 {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func needsQuotes(r rune) bool {
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return false
	}
	return !strings.ContainsRune("-_=./:,@%+~", r)
}
