package pawl

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
)

// untag makes plain JSON of a tagged tree, in the forms in which encoding/json
// reads Go's types: dates as RFC 3339, bytes as base64, big integers as numbers,
// sets as lists, durations in nanoseconds, and Maps as objects, or as lists of pairs
// where a key is not a string.
func untag(tree any) (any, error) {
	return mapTree(tree, func(tag string, value any) (any, error) {
		switch tag {
		case "bigint":
			return json.Number(fmt.Sprint(value)), nil
		case "number":
			if value == "-0" {
				return json.Number("-0"), nil
			}
			return nil, fmt.Errorf("JSON has no %v; read it into a float64 or an any", value)
		case "error", "date", "bytes", "set", "object":
			return value, nil
		case "decimal", "uuid", "local-datetime", "local-date", "local-time":
			return value, nil // of other languages, as they wrote it
		case "duration":
			ms, err := strconv.ParseFloat(fmt.Sprint(value), 64)
			// What encoding/json reads into a time.Duration.
			return int64(ms * float64(time.Millisecond)), err
		case "undefined":
			return nil, nil
		case "map":
			return objectOf(value)
		}
		return nil, unknownTag(tag)
	})
}

// revive makes Go values of a tagged tree, for a target that is an any.
func revive(tree any) (any, error) {
	return mapTree(tree, func(tag string, value any) (any, error) {
		text, _ := value.(string)
		switch tag {
		case "undefined":
			return nil, nil
		case "number":
			return reviveNumber(text), nil
		case "bigint":
			number, ok := new(big.Int).SetString(text, 10)
			if !ok {
				return nil, fmt.Errorf("%q is not an integer", text)
			}
			return number, nil
		case "date":
			if value == nil {
				return time.Time{}, nil
			}
			return time.Parse(time.RFC3339Nano, text)
		case "bytes":
			return base64.StdEncoding.DecodeString(text)
		case "set", "error", "object":
			return value, nil
		case "decimal", "uuid", "local-datetime", "local-date", "local-time":
			return value, nil // of other languages, as they wrote it
		case "duration":
			ms, _ := value.(float64)
			return time.Duration(ms * float64(time.Millisecond)), nil
		case "map":
			return objectOf(value)
		}
		return nil, unknownTag(tag)
	})
}

func unknownTag(tag string) error {
	return fmt.Errorf("a part of it has the type %q, which this SDK version does not know; upgrade it", tag)
}

func reviveNumber(text string) float64 {
	switch text {
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	case "-0":
		return math.Copysign(0, -1)
	}
	return math.NaN()
}

// objectOf turns pairs into an object, where all keys are texts.
func objectOf(value any) (any, error) {
	pairs, _ := value.([]any)
	object := make(map[string]any, len(pairs))
	for _, item := range pairs {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, errNoPair
		}
		key, isText := pair[0].(string)
		if !isText {
			return value, nil
		}
		object[key] = pair[1]
	}
	return object, nil
}

// mapTree applies replace to all tags of a tree, from the inside out.
func mapTree(tree any, replace func(tag string, value any) (any, error)) (any, error) {
	switch node := tree.(type) {
	case []any:
		for i := range node {
			item, err := mapTree(node[i], replace)
			if err != nil {
				return nil, err
			}
			node[i] = item
		}
	case map[string]any:
		name, isTag := node[tagKey]
		tag, _ := name.(string)
		if isTag && tag == "object" {
			// Its pairs name keys that may look like tags themselves.
			value, err := mapTree(node["value"], replace)
			if err != nil {
				return nil, err
			}
			return objectOf(value)
		}
		for key, item := range node {
			value, err := mapTree(item, replace)
			if err != nil {
				return nil, err
			}
			node[key] = value
		}
		if isTag {
			return replace(tag, node["value"])
		}
	}
	return tree, nil
}
