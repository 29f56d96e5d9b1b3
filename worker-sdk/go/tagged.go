package pawl

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// In `json+pawl`, objects such as {"$pawl": "date", "value": "…"} stand for what
// JSON lacks. An ordinary object with a key `$pawl` is itself tagged (`object`).
const tagKey = "$pawl"

var (
	timeType      = reflect.TypeFor[time.Time]()
	bigType       = reflect.TypeFor[big.Int]()
	bytesType     = reflect.TypeFor[[]byte]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	tagNeeds      sync.Map // reflect.Type → bool
)

// mayNeedTags looks at the type of a value: whether tags may be needed somewhere in it.
func mayNeedTags(value any) bool { return typeNeedsTags(reflect.TypeOf(value)) }

func typeNeedsTags(kind reflect.Type) bool {
	if known, ok := tagNeeds.Load(kind); ok {
		return known.(bool)
	}
	needs := findNeed(kind, map[reflect.Type]bool{})
	tagNeeds.Store(kind, needs)
	return needs
}

func findNeed(kind reflect.Type, seen map[reflect.Type]bool) bool {
	switch kind {
	case timeType, bigType, bytesType:
		return true
	}
	if seen[kind] || kind.Implements(marshalerType) {
		return false
	}
	seen[kind] = true
	switch kind.Kind() {
	case reflect.Interface, reflect.Float32, reflect.Float64:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findNeed(kind.Elem(), seen)
	case reflect.Struct:
		for i := range kind.NumField() {
			if findNeed(kind.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

type tagger struct{ tagged bool }

// toTagged makes a JSON tree of a value, and tells whether it has tags.
func toTagged(value any) (any, bool, error) {
	t := &tagger{}
	tree, err := t.convert(reflect.ValueOf(value), 0)
	return tree, t.tagged, err
}

func (t *tagger) tag(name string, value any) map[string]any {
	t.tagged = true
	return map[string]any{tagKey: name, "value": value}
}

func (t *tagger) convert(value reflect.Value, depth int) (any, error) {
	if depth > 500 {
		return nil, errors.New("it refers to itself, or is nested deeper than 500 levels")
	}
	if !value.IsValid() {
		return nil, nil
	}
	switch value.Type() {
	case timeType:
		return t.tag("date", formatMoment(value.Interface().(time.Time))), nil
	case bigType:
		number := value.Interface().(big.Int)
		return t.tag("bigint", number.String()), nil
	case bytesType:
		if value.IsNil() {
			return nil, nil
		}
		return t.tag("bytes", base64.StdEncoding.EncodeToString(value.Bytes())), nil
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil, nil
		}
		if value.Type().Implements(marshalerType) && value.Elem().Type() != timeType && value.Elem().Type() != bigType {
			return asJSON(value)
		}
		return t.convert(value.Elem(), depth+1)
	case reflect.Float32, reflect.Float64:
		return t.convertFloat(value.Float(), value), nil
	}
	if !typeNeedsTags(value.Type()) {
		return asJSON(value)
	}
	switch value.Kind() {
	case reflect.Slice, reflect.Array:
		if value.Kind() == reflect.Slice && value.IsNil() {
			return nil, nil
		}
		list := make([]any, value.Len())
		for i := range list {
			item, err := t.convert(value.Index(i), depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = item
		}
		return list, nil
	case reflect.Map:
		return t.convertMap(value, depth)
	case reflect.Struct:
		object := map[string]any{}
		return object, t.convertFields(object, value, depth)
	}
	return asJSON(value)
}

// formatMoment writes milliseconds, and microseconds where there are any; finer parts are lost.
func formatMoment(moment time.Time) string {
	moment = moment.UTC()
	if moment.Nanosecond()%1_000_000 < 1_000 {
		return moment.Format("2006-01-02T15:04:05.000Z")
	}
	return moment.Format("2006-01-02T15:04:05.000000Z")
}

func asJSON(value reflect.Value) (any, error) {
	data, err := json.Marshal(value.Interface())
	return json.RawMessage(data), err
}

func (t *tagger) convertFloat(number float64, value reflect.Value) any {
	switch {
	case math.IsNaN(number):
		return t.tag("number", "NaN")
	case math.IsInf(number, 1):
		return t.tag("number", "Infinity")
	case math.IsInf(number, -1):
		return t.tag("number", "-Infinity")
	}
	return value.Interface()
}

func (t *tagger) convertMap(value reflect.Value, depth int) (any, error) {
	if value.IsNil() {
		return nil, nil
	}
	if value.Type().Key().Kind() != reflect.String {
		return asJSON(value)
	}
	object := make(map[string]any, value.Len())
	for iter := value.MapRange(); iter.Next(); {
		item, err := t.convert(iter.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		object[iter.Key().String()] = item
	}
	if _, lookalike := object[tagKey]; !lookalike {
		return object, nil
	}
	pairs := make([]any, 0, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		pairs = append(pairs, []any{key, object[key]})
	}
	return t.tag("object", pairs), nil
}

// convertFields follows encoding/json: names and omissions from the tags, the
// fields of embedded structs among those of the struct around them.
func (t *tagger) convertFields(object map[string]any, value reflect.Value, depth int) error {
	kind := value.Type()
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct && field.Type != timeType {
			if err := t.convertFields(object, value.Field(i), depth+1); err != nil {
				return err
			}
			continue
		}
		if !field.IsExported() {
			continue
		}
		item := value.Field(i)
		if strings.Contains(options, "omitzero") && item.IsZero() || strings.Contains(options, "omitempty") && isEmpty(item) {
			continue
		}
		converted, err := t.convert(item, depth+1)
		if err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
		object[orElse(name, field.Name)] = converted
	}
	return nil
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
