package pawl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
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

func (f *Failure) Error() string { return f.Message }

func (f *Failure) Unwrap() error {
	if f.cause == nil {
		return nil
	}
	return f.cause
}

// Is matches an error made by errors.New with the recorded text.
func (f *Failure) Is(target error) bool {
	switch target {
	case context.Canceled:
		return f.Type == "Cancelled"
	case context.DeadlineExceeded:
		return f.Type == "StepTimeoutError" || f.Message == target.Error()
	}
	return isPlain(target) && f.Message == target.Error()
}

// As fills in a target of the recorded type.
func (f *Failure) As(target any) bool {
	value := reflect.ValueOf(target).Elem()
	kind := value.Type()
	pointer := kind.Kind() == reflect.Pointer
	if pointer {
		kind = kind.Elem()
	}
	if kind.Kind() == reflect.Interface || kind.Name() != f.Type {
		return false
	}
	made := reflect.New(kind)
	if f.details != nil && decodeInto(f.details, made.Interface()) != nil {
		return false
	}
	if !pointer {
		made = made.Elem()
	}
	value.Set(made)
	return true
}

// Details decodes what the error carried into target; false where it carried nothing.
func (f *Failure) Details(target any) (bool, error) {
	if f.details == nil {
		return false, nil
	}
	return true, decodeInto(f.details, target)
}

// StepError is returned for a step, child run or wait that failed finally.
type StepError struct {
	*Failure
	StepKey string
	// Attempts made, the last one included.
	Attempts int
}

func (e *StepError) Error() string { return e.Failure.Error() }
func (e *StepError) Unwrap() error { return e.Failure }

// RunError is the outcome of a run that failed or was cancelled.
type RunError struct {
	*Failure
	RunID     string
	Cancelled bool
}

func (e *RunError) Error() string { return fmt.Sprintf("run %s: %s", e.RunID, e.Failure.Error()) }
func (e *RunError) Unwrap() error { return e.Failure }

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
	case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors":
		return true
	}
	return false
}

// errorType names an error for Retry.NonRetryable and for other languages: the
// name of the first type of its chain that says more than a text does.
func errorType(err error) string {
	for at := err; at != nil; at = errors.Unwrap(at) {
		switch known := at.(type) {
		case *Failure:
			return known.Type
		case *StepError:
			return known.Type
		case *CancelledError:
			return "Cancelled"
		case *PanicError:
			return "Panic"
		case interface{ ErrorType() string }:
			return known.ErrorType()
		case terminal, retryAfter:
			continue
		}
		if isPlain(at) {
			continue
		}
		kind := reflect.TypeOf(at)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Name() != "" && kind.Name() != "joinError" {
			return kind.Name()
		}
	}
	return "Error"
}

// toFailure turns an error into what is recorded.
func toFailure(err error) *pb.Failure {
	failure := failureChain(err, 0)
	var final terminal
	var usage *UsageError
	var serialization *SerializationError
	if errors.As(err, &final) || errors.As(err, &usage) || errors.As(err, &serialization) {
		failure.NonRetryable = true
	}
	var after retryAfter
	if errors.As(err, &after) {
		failure.RetryAfter = durationpb.New(after.delay)
	}
	return failure
}

func failureChain(err error, depth int) *pb.Failure {
	// Wrappers of this package add nothing to the text.
	for {
		inner, ok := unmarked(err)
		if !ok {
			break
		}
		err = inner
	}
	failure := &pb.Failure{Type: errorType(err), Message: clip(strings.ToValidUTF8(err.Error(), "�"), messageBytesMax)}
	switch known := err.(type) {
	case *PanicError:
		failure.Stack = clip(known.Stack, stackBytesMax)
	case *StepError:
		failure.Details, failure.Stack = known.details, known.Stack
		err = known.Failure
	case *Failure:
		failure.Details, failure.Stack = known.details, known.Stack
	default:
		failure.Details = detailsOf(err)
	}
	if cause := causeOf(err); cause != nil && depth < causeDepthMax {
		failure.Cause = failureChain(cause, depth+1)
	}
	return failure
}

func unmarked(err error) (error, bool) {
	switch known := err.(type) {
	case terminal:
		return known.error, true
	case retryAfter:
		return known.error, true
	}
	return nil, false
}

func causeOf(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, cause := range many.Unwrap() {
			if cause != nil {
				return cause
			}
		}
		return nil
	}
	return errors.Unwrap(err)
}

// detailsOf records the exported fields of an error, for errors.As after a replay.
func detailsOf(err error) *pb.Payload {
	if isPlain(err) {
		return nil
	}
	data, problem := json.Marshal(err)
	// What the error says matters more than what it carries.
	if problem != nil || len(data) <= len(`{}`) || len(data) > detailsBytesMax {
		return nil
	}
	return &pb.Payload{Data: data, Encoding: encodingJSON}
}
