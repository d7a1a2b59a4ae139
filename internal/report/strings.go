package report

import (
	"reflect"
	"strings"
)

// Storable is a deep copy of a document in which all text is such that JSON can hold it, map keys included.
func Storable[T any](document T) T {
	var out T
	copyStorable(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&document).Elem())
	return out
}

func copyStorable(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(strings.ToValidUTF8(src.String(), "\uFFFD"))
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyStorable(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				copyStorable(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
				copyStorable(key, it.Key())
				copyStorable(value, it.Value())
				dst.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		dst.Set(src) // unexported fields, as those of time.Time, are copied as they are
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				copyStorable(dst.Field(i), src.Field(i))
			}
		}
	default:
		dst.Set(src)
	}
}
