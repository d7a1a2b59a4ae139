package untrusted

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mask stands in the place of what must not be kept or shown.
const Mask = "***"

// PublicHeader reports whether a header lets nobody in anywhere, whatever its value. A secret cannot be told by the
// name of its header, so all others may be one.
func PublicHeader(name string) bool {
	return slices.Contains([]string{
		"accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "l5d-dst-override",
		"user-agent", "x-splitbench-run",
	}, strings.ToLower(name))
}

// An address ends at a space, but not in quotes or between a user's colon and @: it may be one that does not parse.
var (
	address = regexp.MustCompile(`"[A-Za-z][A-Za-z0-9+.-]*://[^"]*"|` +
		`[A-Za-z][A-Za-z0-9+.-]*://(?:[^\s/"'<>@:]+:[^/"'<>\n]*@)?[^\s"'<>]*`)
	queryValue = regexp.MustCompile(`([?&][^=&;?\s"'<>]*=)[^&;\s"'<>]+`)
)

// Masked is text without what lets its bearer in somewhere: the users of its URLs, whether these parse or not, and the
// values of queries and fragments, in paths without a host too.
func Masked(s string) string {
	if strings.Contains(s, "://") {
		s = address.ReplaceAllStringFunc(s, withoutUser)
	}
	if !strings.ContainsAny(s, "?&") {
		return s
	}
	return queryValue.ReplaceAllStringFunc(s, func(pair string) string {
		name, _, _ := strings.Cut(pair, "=")
		if name[1:] == "timeout" { // client-go's own
			return pair
		}
		return name + "=" + Mask
	})
}

func withoutUser(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	u, err := url.Parse(strings.Trim(raw, `"`))
	at := strings.LastIndex(rest, "@")
	if image := at >= 0 && strings.HasPrefix(rest[at:], "@sha256:"); at >= 0 && !image && (err != nil || u.User != nil) {
		rest = Mask + rest[at:]
	}
	if before, fragment, _ := strings.Cut(rest, "#"); strings.Contains(fragment, "=") {
		rest = before + "#" + Mask
		if strings.HasSuffix(raw, `"`) {
			rest += `"`
		}
	}
	return scheme + "://" + rest
}
