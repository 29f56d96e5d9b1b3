package pawl

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// plainMessage is a message of the contract as plain JSON, in the one form that it has over HTTP and in other SDKs:
//
//   - Names are in camelCase. Numbers, booleans and lists are always present; strings, maps and enums unless they are
//     empty; messages if they are set.
//   - An enum is a lower-case word, a time is RFC 3339 in UTC, and a duration is in seconds.
//   - A payload is its value if its encoding is JSON. Otherwise a neighbor `…Encoding` says what it is, or `…Ref` where
//     to get it.
func plainMessage(message protoreflect.Message) map[string]any {
	plain := map[string]any{}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !message.Has(field) && !isAlwaysThere(field) {
			continue
		}
		name, value := field.JSONName(), message.Get(field)
		switch {
		case field.IsMap():
			entries := map[string]any{}
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				entries[key.String()] = plainValue(field.MapValue(), value)
				return true
			})
			plain[name] = entries
		case field.IsList():
			items := make([]any, value.List().Len())
			for i := range items {
				items[i] = plainValue(field, value.List().Get(i))
			}
			plain[name] = items
		default:
			if field.Message() != nil {
				if payload, is := value.Message().Interface().(*pb.Payload); is {
					setPayload(plain, name, payload)
					continue
				}
			}
			plain[name] = plainValue(field, value)
		}
	}
	return plain
}

// isAlwaysThere says whether a field without a value is there all the same.
func isAlwaysThere(field protoreflect.FieldDescriptor) bool {
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind, protoreflect.MessageKind:
		return field.IsList()
	}
	return field.IsList() || !field.HasPresence()
}

func plainValue(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return enumWord(field.Enum(), value.Enum())
	case protoreflect.MessageKind:
		if strings.HasPrefix(string(field.Message().FullName()), "google.protobuf.") {
			data, err := protojson.Marshal(value.Message().Interface())
			if err != nil {
				return nil
			}
			return json.RawMessage(data)
		}
		return plainMessage(value.Message())
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return value.String()
	}
	return value.Interface()
}

// enumWord is `completed` for RUN_STATUS_COMPLETED of RunStatus.
func enumWord(of protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	known := of.Values().ByNumber(number)
	if known == nil {
		return strconv.Itoa(int(number))
	}
	var prefix strings.Builder
	for i, r := range string(of.Name()) {
		if i > 0 && unicode.IsUpper(r) {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(unicode.ToUpper(r))
	}
	return strings.ToLower(strings.TrimPrefix(string(known.Name()), prefix.String()+"_"))
}

// setPayload sets the value of a payload, and what is to be said about it.
func setPayload(plain map[string]any, name string, payload *pb.Payload) {
	encoding := orElse(payload.Encoding, encodingJSON)
	isJSON := encoding == encodingJSON || encoding == encodingTagged
	switch {
	case payload.Ref != nil:
		plain[name+"Ref"] = map[string]any{"sha256": payload.Ref.Sha256, "size": payload.Ref.Size}
	case encoding == encodingVoid:
		plain[name] = nil
	case isJSON && json.Valid(payload.Data):
		plain[name] = json.RawMessage(payload.Data)
	default:
		plain[name] = payload.Data
		if isJSON {
			encoding = "bytes"
		}
	}
	if encoding != encodingJSON {
		plain[name+"Encoding"] = encoding
	}
}
