package pawl

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// jsonField is a field of a struct as encoding/json sees it.
type jsonField struct {
	name  string
	index []int
	kind  reflect.Type
	// Its name is from a tag.
	named bool
	// The tag says omitempty, omitzero or string.
	omitEmpty, omitZero, quoted bool
}

var jsonFields sync.Map // reflect.Type → []jsonField

// fieldsOf lists the fields of a struct by encoding/json's own rules, in their order: the fields
// of embedded structs are among them, unless a field that is less deep, or is named by a tag, has
// the name; where two are equal, neither counts.
func fieldsOf(kind reflect.Type) []jsonField {
	if known, ok := jsonFields.Load(kind); ok {
		return known.([]jsonField)
	}
	found := collectFields(kind)
	slices.SortStableFunc(found, func(a, b jsonField) int {
		order := cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)))
		if order == 0 && a.named != b.named {
			order = 1
			if a.named {
				order = -1
			}
		}
		return order
	})
	var fields []jsonField
	for at := 0; at < len(found); {
		next := at + 1
		for next < len(found) && found[next].name == found[at].name {
			next++
		}
		isDominant := next == at+1 || len(found[at].index) != len(found[at+1].index) || found[at].named != found[at+1].named
		if isDominant {
			fields = append(fields, found[at])
		}
		at = next
	}
	slices.SortFunc(fields, func(a, b jsonField) int { return slices.Compare(a.index, b.index) })
	jsonFields.Store(kind, fields)
	return fields
}

// collectFields lists the fields of a struct and of those embedded in it, level by level. A type
// that is embedded again further inside is looked at once.
func collectFields(kind reflect.Type) []jsonField {
	type level struct {
		kind  reflect.Type
		index []int
	}
	var found []jsonField
	visited := map[reflect.Type]bool{}
	for current := []level{{kind: kind}}; len(current) > 0; {
		var next []level
		var entered []reflect.Type
		for _, at := range current {
			if visited[at.kind] {
				continue
			}
			entered = append(entered, at.kind)
			for i := range at.kind.NumField() {
				field, inner, ok := jsonFieldOf(at.kind.Field(i), append(slices.Clone(at.index), i))
				if inner != nil {
					next = append(next, level{inner, field.index})
				} else if ok {
					found = append(found, field)
				}
			}
		}
		for _, kind := range entered {
			visited[kind] = true
		}
		current = next
	}
	return found
}

// jsonFieldOf is one field, or the struct whose fields take its place.
func jsonFieldOf(field reflect.StructField, index []int) (made jsonField, inner reflect.Type, ok bool) {
	tag := field.Tag.Get("json")
	target := field.Type
	if target.Name() == "" && target.Kind() == reflect.Pointer {
		target = target.Elem()
	}
	isStruct := target.Kind() == reflect.Struct
	if tag == "-" || !field.IsExported() && !(field.Anonymous && isStruct) {
		return made, nil, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if strings.ContainsAny(name, `"\,`) {
		name = ""
	}
	made = jsonField{name: orElse(name, field.Name), index: index, kind: field.Type, named: name != ""}
	if field.Anonymous && name == "" && isStruct {
		return made, target, true
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			made.omitEmpty = true
		case "omitzero":
			made.omitZero = true
		case "string":
			made.quoted = target.Kind() == reflect.String || target.Kind() >= reflect.Bool && target.Kind() <= reflect.Float64
		}
	}
	return made, nil, true
}

// in is the field of a struct; not valid where it is in an embedded pointer that is nil.
func (f *jsonField) in(value reflect.Value) reflect.Value {
	for i, at := range f.index {
		if i > 0 && value.Kind() == reflect.Pointer {
			if value.IsNil() {
				return reflect.Value{}
			}
			value = value.Elem()
		}
		value = value.Field(at)
	}
	return value
}

// madeIn is the field of a struct that is being filled in: embedded pointers on the way are
// made. Not valid where one cannot be set, being of a type that is not exported.
func (f *jsonField) madeIn(value reflect.Value) reflect.Value {
	for i, at := range f.index {
		if i > 0 && value.Kind() == reflect.Pointer {
			if value.IsNil() {
				if !value.CanSet() {
					return reflect.Value{}
				}
				value.Set(reflect.New(value.Type().Elem()))
			}
			value = value.Elem()
		}
		value = value.Field(at)
	}
	return value
}

func (f *jsonField) isOmitted(value reflect.Value) bool {
	return f.omitEmpty && isEmpty(value) || f.omitZero && isZero(value)
}

func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return value.Len() == 0
	case reflect.Struct:
		return false
	}
	return value.IsZero()
}

// isZero asks the type where it has a say.
func isZero(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return true
		}
	}
	if judge, ok := addressable(value).Addr().Interface().(interface{ IsZero() bool }); ok {
		return judge.IsZero()
	}
	if judge, ok := value.Interface().(interface{ IsZero() bool }); ok {
		return judge.IsZero()
	}
	return value.IsZero()
}

// addressable is the value, or a copy of it where methods of its pointer could not be called.
func addressable(value reflect.Value) reflect.Value {
	if value.CanAddr() {
		return value
	}
	made := reflect.New(value.Type()).Elem()
	made.Set(value)
	return made
}
