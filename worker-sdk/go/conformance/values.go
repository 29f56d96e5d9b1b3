package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"pawl.dev/pawl"
)

// variables are shared by all blocks of a run.
type variables struct {
	mu     sync.Mutex
	values map[string]any
}

func (v *variables) set(name any, value any) {
	if text, named := name.(string); named {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.values[text] = value
	}
}

// scope is what expressions see: the variables, the item of the Map around, and the step around.
type scope struct {
	*variables
	item    any
	attempt int
	key     string
}

func (s scope) evaluate(expression any) any {
	switch known := expression.(type) {
	case []any:
		list := make([]any, len(known))
		for i, one := range known {
			list[i] = s.evaluate(one)
		}
		return list
	case map[string]any:
		if len(known) == 1 {
			for name, argument := range known {
				if strings.HasPrefix(name, "$") {
					return s.special(name, argument)
				}
			}
		}
		object := make(map[string]any, len(known))
		for name, one := range known {
			object[name] = s.evaluate(one)
		}
		return object
	}
	return expression
}

func (s scope) special(name string, argument any) any {
	switch name {
	case "$":
		return s.variable(argument.(string))
	case "$attempt":
		return s.attempt
	case "$key":
		return s.key
	case "$void":
		return pawl.Void{}
	case "$bytes":
		data, err := base64.StdEncoding.DecodeString(argument.(string))
		if err != nil {
			panic(err)
		}
		return data
	case "$date":
		moment, err := time.Parse(time.RFC3339, argument.(string))
		if err != nil {
			panic(err)
		}
		return moment
	case "$bigint":
		number, ok := new(big.Int).SetString(argument.(string), 10)
		if !ok {
			panic("this is not an integer: " + argument.(string))
		}
		return number
	case "$language":
		return "go"
	}
	panic("there is no expression " + name)
}

func (s scope) variable(path string) any {
	names := strings.Split(path, ".")
	value := s.item
	if names[0] != "item" {
		s.mu.Lock()
		value = s.values[names[0]]
		s.mu.Unlock()
	}
	for _, name := range names[1:] {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// plain is a program's result as plain JSON.
func plain(value any) any {
	switch known := value.(type) {
	case pawl.Void:
		return nil
	case []byte:
		return map[string]any{"$bytes": base64.StdEncoding.EncodeToString(known)}
	case time.Time:
		return map[string]any{"$date": known.UTC().Format("2006-01-02T15:04:05.000Z")}
	case *big.Int:
		return map[string]any{"$bigint": known.String()}
	case []any:
		list := make([]any, len(known))
		for i, one := range known {
			list[i] = plain(one)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(known))
		for name, one := range known {
			object[name] = plain(one)
		}
		return object
	}
	return value
}

// programError is recorded under the type that the program gives it.
type programError struct{ kind, message string }

func (e *programError) Error() string     { return e.message }
func (e *programError) ErrorType() string { return e.kind }

func makeError(spec map[string]any) error {
	var err error = &programError{kind: fmt.Sprint(spec["type"]), message: fmt.Sprint(orElse(spec["message"], ""))}
	if spec["nonRetryable"] == true {
		return pawl.Terminal(err)
	}
	if after, is := spec["retryAfterMs"].(float64); is {
		return pawl.RetryAfter(err, time.Duration(after*float64(time.Millisecond)))
	}
	return err
}

func orElse(value, otherwise any) any {
	if value == nil {
		return otherwise
	}
	return value
}

// caught is what a program sees of an error that it caught.
func caught(err error) map[string]any {
	kind, message := "", ""
	var failed *pawl.StepFailedError
	var late *pawl.WaitTimeoutError
	var cancelled *pawl.Cancelled
	var own *programError
	switch {
	case errors.As(err, &cancelled):
		kind = "Cancelled"
	case errors.As(err, &late):
		kind = "WaitTimeout"
	case errors.As(err, &failed):
		kind, message = failed.Type, failed.Error()
	case errors.As(err, &own):
		kind, message = own.kind, own.message
	default:
		kind, message = reflect.TypeOf(err).Elem().Name(), err.Error()
	}
	if kind != "Error" {
		kind = strings.TrimSuffix(kind, "Error")
	}
	return map[string]any{"type": kind, "message": message}
}
