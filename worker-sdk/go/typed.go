package pawl

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	tagMark             = []byte(tagKey)
)

// fill reads JSON with tags into a value, which is addressable. What has no tags is read by
// encoding/json; where tags are, its rules are followed down to them.
func fill(raw json.RawMessage, target reflect.Value, depth int) error {
	if !bytes.Contains(raw, tagMark) {
		return json.Unmarshal(raw, target.Addr().Interface())
	}
	if depth > nestingMax {
		return fmt.Errorf("it is nested deeper than %d levels", nestingMax)
	}
	kind := target.Type()
	if kind.Kind() == reflect.Interface && kind.NumMethod() == 0 {
		return fillAny(raw, target)
	}
	if kind.Kind() != reflect.Pointer && (reflect.PointerTo(kind).Implements(unmarshalerType) || reflect.PointerTo(kind).Implements(textUnmarshalerType)) {
		return fillPlain(raw, target)
	}
	tag, value, err := tagOf(raw)
	if err != nil {
		return err
	}
	switch kind.Kind() {
	case reflect.Pointer:
		if tag == "undefined" {
			target.SetZero()
			return nil
		}
		if target.IsNil() {
			target.Set(reflect.New(kind.Elem()))
		}
		return fill(raw, target.Elem(), depth+1)
	case reflect.Float32, reflect.Float64:
		var text string
		if tag == "number" && json.Unmarshal(value, &text) == nil {
			target.SetFloat(reviveNumber(text))
			return nil
		}
	case reflect.Slice, reflect.Array:
		if tag == "" || tag == "set" {
			return fillList(untagged(raw, tag, value), target, depth)
		}
	case reflect.Map, reflect.Struct:
		if tag == "" || tag == "object" || tag == "map" {
			return fillObject(raw, tag, value, target, depth)
		}
	}
	return fillPlain(raw, target)
}

func untagged(raw json.RawMessage, tag string, value json.RawMessage) json.RawMessage {
	if tag == "" {
		return raw
	}
	return value
}

// tagOf is the tag that a JSON text is, with its value; none where it is something else.
func tagOf(raw json.RawMessage) (string, json.RawMessage, error) {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) == 0 || raw[0] != '{' {
		return "", nil, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return "", nil, err
	}
	var tag string
	if name, isTag := members[tagKey]; !isTag || json.Unmarshal(name, &tag) != nil {
		return "", nil, nil
	}
	return tag, members["value"], nil
}

// fillAny reads what an any holds: Go's own values of the tags.
func fillAny(raw json.RawMessage, target reflect.Value) error {
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return err
	}
	value, err := revive(tree)
	if err != nil {
		return err
	}
	if value == nil {
		target.SetZero()
	} else {
		target.Set(reflect.ValueOf(value))
	}
	return nil
}

// fillPlain has encoding/json read a value from the form without tags.
func fillPlain(raw json.RawMessage, target reflect.Value) error {
	tree, err := parseTree(raw)
	if err != nil {
		return err
	}
	plain, err := untag(tree)
	if err != nil {
		return err
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, target.Addr().Interface())
}

func fillList(raw json.RawMessage, target reflect.Value, depth int) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		return fillPlain(raw, target)
	}
	if target.Kind() == reflect.Slice {
		target.Set(reflect.MakeSlice(target.Type(), len(items), len(items)))
	} else {
		target.SetZero()
	}
	for i, item := range items {
		if i >= target.Len() {
			break // as encoding/json does with arrays
		}
		if err := fill(item, target.Index(i), depth+1); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func fillObject(raw json.RawMessage, tag string, value json.RawMessage, target reflect.Value, depth int) error {
	members := map[string]json.RawMessage{}
	if tag == "" {
		if err := json.Unmarshal(raw, &members); err != nil {
			return fillPlain(raw, target) // which says what is wrong
		}
	} else {
		var pairs [][]json.RawMessage
		if err := json.Unmarshal(value, &pairs); err != nil {
			return err
		}
		for _, pair := range pairs {
			var name string
			if len(pair) != 2 {
				return errNoPair
			}
			if json.Unmarshal(pair[0], &name) != nil {
				// Keys of another kind: texts of those that are numbers are what Go's maps take.
				name = string(pair[0])
			}
			members[name] = pair[1]
		}
	}
	if target.Kind() == reflect.Map {
		return fillMap(members, target, depth)
	}
	fields := fieldsOf(target.Type())
	for name, item := range members {
		field := fieldNamed(fields, name)
		if field == nil {
			continue
		}
		into := field.madeIn(target)
		if !into.IsValid() {
			return fmt.Errorf("%s is in an embedded pointer to a type that is not exported", name)
		}
		if err := fillField(field, item, into, depth); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// fieldNamed is the field of that name, or else of one that differs in case only.
func fieldNamed(fields []jsonField, name string) *jsonField {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	for i := range fields {
		if strings.EqualFold(fields[i].name, name) {
			return &fields[i]
		}
	}
	return nil
}

func fillField(field *jsonField, raw json.RawMessage, target reflect.Value, depth int) error {
	var text string
	if field.quoted && !bytes.Contains(raw, tagMark) && json.Unmarshal(raw, &text) == nil && text != "" {
		raw = json.RawMessage(text)
	}
	return fill(raw, target, depth+1)
}

func fillMap(members map[string]json.RawMessage, target reflect.Value, depth int) error {
	kind := target.Type()
	if target.IsNil() {
		target.Set(reflect.MakeMapWithSize(kind, len(members)))
	}
	keys := reflect.New(reflect.MapOf(kind.Key(), reflect.TypeFor[struct{}]()))
	for name, raw := range members {
		item := reflect.New(kind.Elem()).Elem()
		if err := fill(raw, item, depth+1); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// encoding/json knows what a key's text stands for.
		data, err := json.Marshal(map[string]struct{}{name: {}})
		if err != nil {
			return err
		}
		keys.Elem().SetZero()
		if err := json.Unmarshal(data, keys.Interface()); err != nil {
			return err
		}
		for _, key := range keys.Elem().MapKeys() {
			target.SetMapIndex(key, item)
		}
	}
	return nil
}
