package report

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// validUTF8 is text that JSON can hold.
func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// mapStrings returns a deep copy of v in which f was applied to every string, map keys included.
func mapStrings[T any](v T, f func(string) string) T {
	var out T
	copyMapped(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem(), f)
	return out
}

func copyMapped(dst, src reflect.Value, f func(string) string) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(f(src.String()))
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyMapped(dst.Elem(), src.Elem(), f)
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				copyMapped(dst.Index(i), src.Index(i), f)
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
				copyMapped(key, it.Key(), f)
				copyMapped(value, it.Value(), f)
				dst.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		dst.Set(src) // unexported fields, as those of time.Time, are copied as they are
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				copyMapped(dst.Field(i), src.Field(i), f)
			}
		}
	default:
		dst.Set(src)
	}
}

func needsQuotes(r rune) bool {
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return false
	}
	return !strings.ContainsRune("-_=./:,@%+~", r)
}

// shellJoin writes a command so that a POSIX shell reads the same words. It is for people to copy; nothing of ours
// runs it.
func shellJoin(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		plain := a != "" && strings.IndexFunc(a, needsQuotes) < 0
		if quoted[i] = a; !plain || strings.HasPrefix(a, "~") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
