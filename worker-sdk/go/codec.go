package pawl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf16"

	pb "pawl.dev/pawl/pawlv1"
)

const (
	encodingJSON   = "json"
	encodingTagged = "json+pawl"
	encodingBytes  = "bytes"
	encodingVoid   = "void"
)

// Void is the input or output of what has none.
type Void = struct{}

// encode makes a payload of a value: a Void is `void`, bytes are `bytes`, and
// everything else is JSON, with tags where it holds times, bytes or big
// integers, which other languages have types for.
func encode(value any, what string) (*pb.Payload, error) {
	switch known := value.(type) {
	case Void:
		return &pb.Payload{Encoding: encodingVoid}, nil
	case []byte:
		if known != nil {
			return &pb.Payload{Encoding: encodingBytes, Data: bytes.Clone(known)}, nil
		}
	}
	data, tagged, err := marshal(value, false)
	if err != nil {
		return nil, &SerializationError{What: what, Err: err}
	}
	if tagged {
		return &pb.Payload{Encoding: encodingTagged, Data: data}, nil
	}
	return &pb.Payload{Encoding: encodingJSON, Data: data}, nil
}

// marshal makes JSON of a value, with tags or without. `escape`: it is to be put among tags. Methods
// of the value that panic are no more than a value that cannot be encoded.
func marshal(value any, escape bool) (data []byte, tagged bool, err error) {
	defer recoverInto(&err)
	if value != nil && mayNeedTags(value) {
		return toTagged(value, escape)
	}
	data, err = json.Marshal(value)
	return data, false, err
}

// recoverInto makes an error of a panic of user code.
func recoverInto(err *error) {
	if value := recover(); value != nil {
		*err = newPanicError(value)
	}
}

// decodeInto fills in what target points to. Nothing, as in an absent payload
// or `void`, leaves it as it is.
func decodeInto(payload *pb.Payload, target any) (err error) {
	defer recoverInto(&err)
	if payload == nil {
		return nil
	}
	switch payload.Encoding {
	case encodingVoid:
		return nil
	case encodingBytes:
		switch known := target.(type) {
		case *[]byte:
			*known = bytes.Clone(payload.Data)
			if *known == nil {
				*known = []byte{}
			}
			return nil
		case *any:
			*known = bytes.Clone(payload.Data)
			return nil
		}
		return fmt.Errorf("it is bytes, not a %T", target)
	case "", encodingJSON:
		return json.Unmarshal(payload.Data, target)
	case encodingTagged:
		return fill(payload.Data, reflect.ValueOf(target).Elem(), 0)
	}
	return fmt.Errorf("it has the encoding %q, which this SDK version does not know; upgrade it", payload.Encoding)
}

// decode returns the value of a payload as a T.
func decode[T any](payload *pb.Payload, what string) (T, error) {
	var value T
	if err := decodeInto(payload, &value); err != nil {
		return value, &SerializationError{What: what, Err: err, reading: true}
	}
	return value, nil
}

// parseTree reads JSON without making floats of its numbers.
func parseTree(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("there is more than one JSON value")
	}
	return tree, nil
}

// digest is the hex SHA-256 of a value's canonical JSON, in which the members
// of objects are sorted by name: the same in every SDK.
func digest(value any, what string) (string, error) {
	payload, err := encode(value, what)
	if err != nil {
		return "", err
	}
	switch payload.Encoding {
	case encodingBytes, encodingVoid:
		return digestText(payload.Encoding + ":" + string(payload.Data)), nil
	}
	tree, err := parseTree(payload.Data)
	if err != nil {
		return "", &SerializationError{What: what, Err: err}
	}
	var canonical strings.Builder
	writeCanonical(&canonical, tree)
	return digestText(canonical.String()), nil
}

// writeCanonical writes a tree as JavaScript does: members sorted by the UTF-16 units of their names,
// and nothing escaped that need not be.
func writeCanonical(out *strings.Builder, tree any) {
	switch known := tree.(type) {
	case []any:
		out.WriteByte('[')
		for i, item := range known {
			if i > 0 {
				out.WriteByte(',')
			}
			writeCanonical(out, item)
		}
		out.WriteByte(']')
	case map[string]any:
		out.WriteByte('{')
		names := slices.SortedFunc(maps.Keys(known), func(a, b string) int {
			return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		})
		for i, name := range names {
			if i > 0 {
				out.WriteByte(',')
			}
			writeCanonicalText(out, name)
			out.WriteByte(':')
			writeCanonical(out, known[name])
		}
		out.WriteByte('}')
	case string:
		writeCanonicalText(out, known)
	case nil:
		out.WriteString("null")
	default:
		fmt.Fprint(out, known)
	}
}

var canonicalEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`,
}

func writeCanonicalText(out *strings.Builder, text string) {
	out.WriteByte('"')
	for _, sign := range text {
		if escaped, has := canonicalEscapes[sign]; has {
			out.WriteString(escaped)
		} else if sign < ' ' {
			fmt.Fprintf(out, `\u%04x`, sign)
		} else {
			out.WriteRune(sign)
		}
	}
	out.WriteByte('"')
}
