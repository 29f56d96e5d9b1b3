package pawl

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
	timeType          = reflect.TypeFor[time.Time]()
	bigType           = reflect.TypeFor[big.Int]()
	bytesType         = reflect.TypeFor[[]byte]()
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	tagNeeds          sync.Map // reflect.Type → bool
)

// mayNeedTags looks at the type of a value: whether encoding/json alone might lose
// something of it.
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
	case timeType, bigType, bytesType, reflect.PointerTo(timeType), reflect.PointerTo(bigType):
		return true
	}
	if seen[kind] || marshals(kind) {
		return false
	}
	if kind.Kind() != reflect.Pointer && kind.Kind() != reflect.Interface && marshals(reflect.PointerTo(kind)) {
		return true // encoding/json calls methods of a pointer only where it has one
	}
	seen[kind] = true
	switch kind.Kind() {
	case reflect.Interface, reflect.Float32, reflect.Float64:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findNeed(kind.Elem(), seen)
	case reflect.Struct:
		for _, field := range fieldsOf(kind) {
			if findNeed(field.kind, seen) {
				return true
			}
		}
	}
	return false
}

// marshals says whether the type has its own form in JSON.
func marshals(kind reflect.Type) bool {
	return kind.Implements(marshalerType) || kind.Implements(textMarshalerType)
}

// tagger writes the JSON of a value as encoding/json does, besides the tags.
type tagger struct {
	out    bytes.Buffer
	tagged bool
	// Objects with a key `$pawl` are written as pairs: others are tags.
	escape bool
	// There is such an object.
	lookalike bool
}

// toTagged makes JSON of a value, and says whether it has tags. Where it has none, and nothing is to
// be put among tags, an object that looks like one is written as it is: nobody looks for tags there.
func toTagged(value any, escape bool) ([]byte, bool, error) {
	t := &tagger{escape: escape}
	err := t.write(reflect.ValueOf(value), 0)
	if err == nil && t.tagged && t.lookalike && !escape {
		return toTagged(value, true)
	}
	return t.out.Bytes(), t.tagged, err
}

// tag writes a tag; the value is JSON, or a text without anything to escape.
func (t *tagger) tag(name, value string) {
	t.tagged = true
	fmt.Fprintf(&t.out, `{"$pawl":%q,"value":%q}`, name, value)
}

func (t *tagger) write(value reflect.Value, depth int) error {
	if depth > nestingMax {
		return fmt.Errorf("it refers to itself, or is nested deeper than %d levels", nestingMax)
	}
	if !value.IsValid() {
		t.out.WriteString("null")
		return nil
	}
	switch value.Type() {
	case timeType:
		return t.writeMoment(value.Interface().(time.Time))
	case bigType:
		number := value.Interface().(big.Int)
		t.tag("bigint", number.String())
		return nil
	case bytesType:
		if value.IsNil() {
			t.out.WriteString("null")
		} else {
			t.tag("bytes", base64.StdEncoding.EncodeToString(value.Bytes()))
		}
		return nil
	}
	switch kind := value.Kind(); kind {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			t.out.WriteString("null")
			return nil
		}
		if kind == reflect.Interface || !marshals(value.Type()) || value.Elem().Type() == timeType || value.Elem().Type() == bigType {
			return t.write(value.Elem(), depth+1)
		}
		return t.writeJSON(value)
	default:
		if marshals(value.Type()) {
			return t.writeJSON(value)
		}
		if marshals(reflect.PointerTo(value.Type())) {
			return t.writeJSON(addressable(value).Addr())
		}
	}
	return t.writeKind(value, depth)
}

func (t *tagger) writeKind(value reflect.Value, depth int) error {
	switch value.Kind() {
	case reflect.Float32, reflect.Float64:
		return t.writeFloat(value)
	case reflect.Int, reflect.Int64:
		if number := value.Int(); number > safeIntegerMax || number < -safeIntegerMax {
			t.tag("bigint", fmt.Sprint(number))
			return nil
		}
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		if number := value.Uint(); number > safeIntegerMax {
			t.tag("bigint", fmt.Sprint(number))
			return nil
		}
	case reflect.Slice, reflect.Array:
		if !typeNeedsTags(value.Type()) {
			break
		}
		if value.Kind() == reflect.Slice && value.IsNil() {
			break
		}
		return t.writeList(value, depth)
	case reflect.Map:
		if !value.IsNil() && typeNeedsTags(value.Type()) {
			return t.writeMap(value, depth)
		}
	case reflect.Struct:
		if typeNeedsTags(value.Type()) {
			return t.writeStruct(value, depth)
		}
	}
	return t.writeJSON(value)
}

// writeJSON writes what encoding/json makes of a value. Where that has an object with a
// key `$pawl`, it is told from a tag.
func (t *tagger) writeJSON(value reflect.Value) error {
	data, err := json.Marshal(value.Interface())
	if err != nil {
		return err
	}
	if data[0] != '{' && data[0] != '[' || !bytes.Contains(data, []byte("pawl")) {
		t.out.Write(data)
		return nil
	}
	tree, err := parseTree(data)
	if err != nil {
		return err
	}
	return t.write(reflect.ValueOf(tree), 0)
}

// writeMoment writes milliseconds, and microseconds where there are any; finer parts are lost.
func (t *tagger) writeMoment(moment time.Time) error {
	moment = moment.UTC()
	if year := moment.Year(); year < 0 || year > 9999 {
		return fmt.Errorf("a time of the year %d cannot be recorded; only the years 0 to 9999 can", year)
	}
	layout := "2006-01-02T15:04:05.000000Z"
	if moment.Nanosecond()%1_000_000 < 1_000 {
		layout = "2006-01-02T15:04:05.000Z"
	}
	t.tag("date", moment.Format(layout))
	return nil
}

func (t *tagger) writeFloat(value reflect.Value) error {
	number := value.Float()
	switch {
	case math.IsNaN(number):
		t.tag("number", "NaN")
	case math.IsInf(number, 1):
		t.tag("number", "Infinity")
	case math.IsInf(number, -1):
		t.tag("number", "-Infinity")
	case number == 0 && math.Signbit(number):
		t.tag("number", "-0")
	default:
		data, err := json.Marshal(value.Interface())
		t.out.Write(data)
		return err
	}
	return nil
}

func (t *tagger) writeList(value reflect.Value, depth int) error {
	t.out.WriteByte('[')
	for i := range value.Len() {
		if i > 0 {
			t.out.WriteByte(',')
		}
		if err := t.write(value.Index(i), depth+1); err != nil {
			return err
		}
	}
	t.out.WriteByte(']')
	return nil
}

// member is one of an object.
type member struct {
	name  string
	write func() error
}

// writeObject writes members, as pairs where one is named like a tag.
func (t *tagger) writeObject(members []member) error {
	open, between, end, tail := "{", ":", "", "}"
	looksLikeTag := slices.ContainsFunc(members, func(m member) bool { return m.name == tagKey })
	t.lookalike = t.lookalike || looksLikeTag
	if looksLikeTag && t.escape {
		t.tagged = true
		open, between, end, tail = `{"$pawl":"object","value":[`, ",", "]", "]}"
	}
	t.out.WriteString(open)
	for i, each := range members {
		if i > 0 {
			t.out.WriteByte(',')
		}
		if end != "" {
			t.out.WriteByte('[')
		}
		name, err := json.Marshal(each.name)
		if err != nil {
			return err
		}
		t.out.Write(name)
		t.out.WriteString(between)
		if err := each.write(); err != nil {
			return err
		}
		t.out.WriteString(end)
	}
	t.out.WriteString(tail)
	return nil
}

func (t *tagger) writeMap(value reflect.Value, depth int) error {
	members := make([]member, 0, value.Len())
	for iter := value.MapRange(); iter.Next(); {
		name, err := keyText(iter.Key())
		if err != nil {
			return err
		}
		item := iter.Value()
		members = append(members, member{name, func() error { return t.write(item, depth+1) }})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return t.writeObject(members)
}

// keyText is what encoding/json makes of a map's key.
func keyText(key reflect.Value) (string, error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if text, ok := key.Interface().(encoding.TextMarshaler); ok {
		if key.Kind() == reflect.Pointer && key.IsNil() {
			return "", nil
		}
		data, err := text.MarshalText()
		return string(data), err
	}
	switch {
	case key.CanInt():
		return fmt.Sprint(key.Int()), nil
	case key.CanUint():
		return fmt.Sprint(key.Uint()), nil
	}
	return "", fmt.Errorf("a map with keys of the type %s has no form in JSON", key.Type())
}

func (t *tagger) writeStruct(value reflect.Value, depth int) error {
	fields := fieldsOf(value.Type())
	members := make([]member, 0, len(fields))
	for i := range fields {
		field := &fields[i]
		item := field.in(value)
		if !item.IsValid() || field.isOmitted(item) {
			continue
		}
		members = append(members, member{field.name, func() error {
			err := t.writeField(field, item, depth)
			if err != nil {
				return fmt.Errorf("%s: %w", field.name, err)
			}
			return nil
		}})
	}
	return t.writeObject(members)
}

func (t *tagger) writeField(field *jsonField, item reflect.Value, depth int) error {
	target := item
	if target.Kind() == reflect.Pointer {
		target = target.Elem()
	}
	isSpecial := target.IsValid() && target.CanFloat() && (math.IsNaN(target.Float()) || math.IsInf(target.Float(), 0))
	if !field.quoted || !target.IsValid() || isSpecial || marshals(target.Type()) {
		return t.write(item, depth+1)
	}
	data, err := json.Marshal(target.Interface())
	if err != nil {
		return err
	}
	text, err := json.Marshal(string(data))
	t.out.Write(text)
	return err
}

var errNoPair = errors.New("a Map has an entry that is not a pair")
