package bench

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/attack"
)

// Bounds of the texts of an answer that are looked at.
const (
	maxFields = 64
	maxText   = 256 // bytes
)

// A place is where an answer has a text: a JSON pointer, or the kind of a rule before its key, as in proto:/1 and
// header:Server.
const (
	inProto  = string(attack.RuleProto) + ":"
	inHeader = string(attack.RuleHeader) + ":"
)

// ruleAt is the rule that looks at a place.
func ruleAt(place string) attack.Rule {
	if key, ok := strings.CutPrefix(place, inProto); ok {
		return attack.Rule{Kind: attack.RuleProto, Key: key}
	}
	if key, ok := strings.CutPrefix(place, inHeader); ok {
		return attack.Rule{Kind: attack.RuleHeader, Key: key}
	}
	return attack.Rule{Kind: attack.RuleJSON, Key: place}
}

// placesOf are the places of texts, what servers say themselves before what may be of proxies.
func placesOf[V any](texts map[string]V) []string {
	out := slices.Sorted(maps.Keys(texts))
	slices.SortStableFunc(out, func(a, b string) int {
		switch x, y := strings.HasPrefix(a, inHeader), strings.HasPrefix(b, inHeader); {
		case x == y:
			return 0
		case x:
			return 1
		}
		return -1
	})
	return out
}

// topFields are the text fields of a JSON object; none where the body is none.
func topFields(body []byte) map[string]string {
	fields := map[string]string{}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return fields
	}
	for k, v := range object {
		if s, ok := v.(string); ok && s != "" && len(s) <= maxText && len(fields) < maxFields {
			fields["/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k)] = s
		}
	}
	return fields
}

// protoFields are the texts of a protobuf message.
func protoFields(message []byte) map[string]string {
	fields := map[string]string{}
	for path, text := range attack.ProtoTexts(message, maxFields, maxText) {
		fields[inProto+path] = text
	}
	return fields
}

// Headers that say when, how fast, how much or for whom, and values that are numbers, may be alike in a few answers of
// one backend by chance.
var (
	passingHeader = regexp.MustCompile(`(?i)^(age|expires|last-modified|etag|location|connection|keep-alive|trailer|` +
		`vary|via|alt-svc|set-cookie|retry-after|transfer-encoding|(content|grpc|l5d|x-cache|x-envoy|x-splitbench)-.*|` +
		`.*(date|time|duration|latency|elapsed|trace|request-id|correlation|ratelimit).*)$`)
	number = regexp.MustCompile(`^[-+]?[0-9][0-9.,:]*\s*[a-zµ%]{0,3}$`)
)

// headerFields are the headers of an answer that may say who gave it.
func headerFields(header map[string][]string) map[string]string {
	fields := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		v := header[name]
		switch {
		case len(v) == 0 || v[0] == "" || len(v[0]) > maxText || len(fields) == maxFields:
		case passingHeader.MatchString(name) || number.MatchString(v[0]):
		default:
			fields[inHeader+name] = v[0]
		}
	}
	return fields
}
