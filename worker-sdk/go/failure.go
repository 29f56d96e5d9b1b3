package pawl

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	pb "pawl.dev/pawl/pawlv1"
)

// Failure is a recorded error. It is the same on the first run and in every
// replay: errors.Is finds a sentinel of the chain by its text, errors.As a type
// of the chain by its name, filled in from its recorded fields.
type Failure struct {
	// The type of the original error, such as CardDeclined.
	Type    string
	Message string
	Stack   string
	cause   *Failure
	details *pb.Payload
}

func (f *Failure) Error() string { return orElse(f.Message, f.Type) }

func (f *Failure) Unwrap() error {
	if f.cause == nil {
		return nil
	}
	return f.cause
}

// Is matches a sentinel by its text, and a value of another type by what is recorded of it.
func (f *Failure) Is(target error) bool {
	switch target {
	case context.Canceled:
		return f.Type == "Cancelled" || f.Message == target.Error()
	case context.DeadlineExceeded:
		return f.Type == "StepTimeoutError" || f.Type == "WaitTimeoutError" || f.Message == target.Error()
	}
	if isPlain(target) {
		return f.Message == textOf(target)
	}
	if kind := reflect.TypeOf(target); kind.Kind() == reflect.Pointer {
		return f.isOf(kind.Elem()) && f.Message == textOf(target)
	}
	made, ok := f.rebuild(reflect.TypeOf(target))
	return ok && made.Comparable() && made.Interface() == any(target)
}

// As fills in a target of the recorded type.
func (f *Failure) As(target any) bool {
	value := reflect.ValueOf(target).Elem()
	made, ok := f.rebuild(value.Type())
	if ok {
		value.Set(made)
	}
	return ok
}

// isOf says whether it was recorded of that type.
func (f *Failure) isOf(kind reflect.Type) bool {
	if kind == reflect.TypeFor[PanicError]() {
		return f.Type == "Panic"
	}
	if kind.Kind() == reflect.Interface || kind.Name() == "" || kind.Name() != f.Type {
		return false
	}
	recorded, isKnown := strings.CutPrefix(f.Stack, typeMark)
	if !isKnown {
		return f.Type != "Error" // which is what errors without a type are called
	}
	return recorded == fullName(kind)
}

// rebuild makes an error of the recorded type, with its recorded fields.
func (f *Failure) rebuild(kind reflect.Type) (reflect.Value, bool) {
	pointer := kind.Kind() == reflect.Pointer
	if pointer {
		kind = kind.Elem()
	}
	if !f.isOf(kind) {
		return reflect.Value{}, false
	}
	made := reflect.New(kind)
	if panicked, is := made.Interface().(*PanicError); is {
		panicked.Value, panicked.Stack = strings.TrimPrefix(f.Message, "panic: "), f.Stack
	} else if f.details != nil && f.fillDetails(made) != nil {
		return reflect.Value{}, false
	}
	if !pointer {
		made = made.Elem()
	}
	return made, true
}

// fillDetails reads what the error carried. Of a struct each field is read by itself, and one
// that was an error becomes what is recorded of that.
func (f *Failure) fillDetails(target reflect.Value) (err error) {
	defer recoverInto(&err)
	kind := target.Type().Elem()
	var members map[string]json.RawMessage
	isStruct := kind.Kind() == reflect.Struct && !target.Type().Implements(unmarshalerType) && !target.Type().Implements(textUnmarshalerType)
	if !isStruct || json.Unmarshal(f.details.Data, &members) != nil {
		return decodeInto(f.details, target.Interface())
	}
	for _, field := range fieldsOf(kind) {
		raw, isKnown := members[field.name]
		into := reflect.Value{}
		if isKnown {
			into = field.madeIn(target.Elem())
		}
		var text string
		switch {
		case !into.IsValid():
		case field.kind == errorInterface && json.Unmarshal(raw, &text) == nil && text != "":
			into.Set(reflect.ValueOf(f.inside(text)))
		case fill(raw, into, 0) != nil:
			// The others are worth having all the same.
			into.SetZero()
		}
	}
	return nil
}

// inside is the error of that text that it carried.
func (f *Failure) inside(text string) error {
	for at := f.cause; at != nil; at = at.cause {
		if at.Message == text {
			return at
		}
	}
	return &Failure{Type: "Error", Message: text}
}

// Details decodes what the error carried into target; false where it carried nothing.
func (f *Failure) Details(target any) (bool, error) {
	if f.details == nil {
		return false, nil
	}
	if value := reflect.ValueOf(target); value.Kind() == reflect.Pointer && !value.IsNil() {
		return true, f.fillDetails(value)
	}
	return true, usage("Details needs a pointer to what is to be filled in; it got a %T", target)
}

// StepFailedError is returned for a step, child run or wait that failed finally.
type StepFailedError struct {
	*Failure
	StepKey string
	// Attempts made, the last one included.
	Attempts int
}

func (e *StepFailedError) Error() string { return e.Failure.Error() }
func (e *StepFailedError) Unwrap() error { return e.Failure }

// RunFailedError is the outcome of a run that failed or was cancelled.
type RunFailedError struct {
	*Failure
	RunID     string
	Cancelled bool
}

func (e *RunFailedError) Error() string { return fmt.Sprintf("run %s: %s", e.RunID, e.Failure.Error()) }
func (e *RunFailedError) Unwrap() error { return e.Failure }

func failureOf(recorded *pb.Failure) *Failure {
	if recorded == nil {
		return &Failure{Type: "Error", Message: "no reason was recorded"}
	}
	failure := &Failure{
		Type:    orElse(recorded.Type, "Error"),
		Message: recorded.Message,
		Stack:   recorded.Stack,
		details: recorded.Details,
	}
	if recorded.Cause != nil {
		failure.cause = failureOf(recorded.Cause)
	}
	return failure
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func clip(text string, bytesMax int) string {
	if len(text) <= bytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:bytesMax], "") + "…"
}

// isPlain tells errors that are nothing but a text.
func isPlain(err error) bool {
	switch reflect.TypeOf(err).String() {
	case "*errors.errorString", "*errors.joinError", "*fmt.wrapError", "*fmt.wrapErrors":
		return true
	}
	return false
}
