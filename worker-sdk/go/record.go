package pawl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// What is recorded of an error of user code. Its methods may do anything: whatever comes of
// them, something is recorded.

var errorInterface = reflect.TypeFor[error]()

// typeMark is in front of the full name of a type, where an error has no stack.
const typeMark = "of type "

func fullName(kind reflect.Type) string { return kind.PkgPath() + "." + kind.Name() }

// sentinels are errors of the standard library that types of it are equal to by a method.
var sentinels = []error{
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, errors.ErrUnsupported,
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed,
}

// textOf is what an error says.
func textOf(err error) (text string) {
	defer func() {
		if value := recover(); value != nil {
			text = fmt.Sprintf("an error of the type %T, whose method Error panicked: %s", err, describe(value))
			if kind := reflect.ValueOf(err); kind.Kind() == reflect.Pointer && kind.IsNil() {
				text = fmt.Sprintf("a nil %T was returned as an error; return nil itself where there is none", err)
			}
		}
	}()
	return strings.ToValidUTF8(err.Error(), "\uFFFD")
}

// treeOf lists an error and what it wraps, in the order in which errors.As looks at them.
func treeOf(err error) []error {
	var tree []error
	var add func(err error)
	add = func(err error) {
		if err == nil || len(tree) >= errorTreeMax {
			return
		}
		tree = append(tree, err)
		for _, inner := range unwrap(err) {
			add(inner)
		}
	}
	add(err)
	return tree
}

// describe is the text of what a panic was called with.
func describe(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of the type %T", value)
		}
	}()
	if err, is := value.(error); is {
		return err.Error()
	}
	return fmt.Sprint(value)
}

func unwrap(err error) (inner []error) {
	defer func() {
		if recover() != nil {
			inner = nil
		}
	}()
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{errors.Unwrap(err)}
}

// find is errors.As for this package's own types, of errors that are user code's.
func find[T error](err error) (T, bool) {
	for _, each := range treeOf(err) {
		if found, ok := each.(T); ok {
			return found, true
		}
	}
	var none T
	return none, false
}

// isSame is errors.Is of one error of a tree.
func isSame(err, target error) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	if err == target {
		return true
	}
	judge, ok := err.(interface{ Is(error) bool })
	return ok && judge.Is(target)
}

// isDeadline says whether an error comes of a context whose time was up.
func isDeadline(err error) bool {
	return slices.ContainsFunc(treeOf(err), func(each error) bool { return isSame(each, context.DeadlineExceeded) })
}

// toFailure turns an error into what is recorded.
func toFailure(err error) *pb.Failure {
	tree := treeOf(err)
	failure := failureChain(tree)
	for _, each := range tree {
		switch known := each.(type) {
		case terminal, *UsageError, *SerializationError:
			failure.NonRetryable = true
		case retryAfter:
			if failure.RetryAfter == nil {
				failure.RetryAfter = durationpb.New(min(max(0, known.delay), durationMax))
			}
		}
	}
	return failure
}

// bareFailure is what is recorded in place of a failure that the server refused.
func bareFailure(failure *pb.Failure, refusal error) *pb.Failure {
	return &pb.Failure{
		Type: "Error", NonRetryable: failure.NonRetryable,
		Message: clip(failure.Message, nameBytesMax) + " (the rest could not be recorded: " + clip(refusal.Error(), nameBytesMax) + ")",
	}
}

// failureChain makes one chain of causes of a tree of errors, in the order in which errors.Is
// and errors.As look at them.
func failureChain(tree []error) *pb.Failure {
	// Wrappers of this package add nothing to the text.
	tree = slices.DeleteFunc(slices.Clone(tree), isMark)
	for _, each := range tree {
		tree = append(tree, equals(each, tree)...)
	}
	failure := &pb.Failure{Type: "Error", Message: "no error was given"}
	at := &failure
	for i, each := range tree[:min(len(tree), causeDepthMax+1)] {
		*at = failureOne(each, tree[i:])
		at = &(*at).Cause
	}
	return failure
}

func isMark(err error) bool {
	switch err.(type) {
	case terminal, retryAfter, *StepFailedError:
		return true // the last one's Failure says all of it
	}
	return false
}

// equals are the sentinels that an error is equal to by a method of its own, as far as nothing
// in the tree says so by its text.
func equals(err error, tree []error) []error {
	if _, known := err.(*Failure); known {
		return nil
	}
	if _, judges := err.(interface{ Is(error) bool }); !judges {
		return nil
	}
	var found []error
	for _, sentinel := range sentinels {
		says := func(each error) bool { return textOf(each) == sentinel.Error() }
		if isSame(err, sentinel) && !slices.ContainsFunc(tree, says) {
			found = append(found, sentinel)
		}
	}
	return found
}

// failureOne is one error; what it wraps comes after it.
func failureOne(err error, tree []error) *pb.Failure {
	failure := &pb.Failure{Type: "Error", Message: clip(textOf(err), messageBytesMax)}
	// A wrapper that is only a text has the type, and what goes with it, of what is inside.
	for _, each := range tree {
		if isPlain(each) && len(unwrap(each)) == 1 {
			continue
		}
		failure.Type = clip(errorType(each), nameBytesMax)
		switch known := each.(type) {
		case *PanicError:
			failure.Stack = clip(known.Stack, stackBytesMax)
		case *Failure:
			failure.Details, failure.Stack = known.details, known.Stack
		default:
			failure.Details = detailsOf(each)
			if kind := namedType(each); kind != nil && kind.Name() == failure.Type {
				failure.Stack = typeMark + fullName(kind)
			}
		}
		break
	}
	return failure
}

// errorType names an error for Retry.NonRetryable and for other languages.
func errorType(err error) (name string) {
	defer func() {
		if recover() != nil || name == "" {
			name = "Error"
		}
	}()
	switch known := err.(type) {
	case *Failure:
		return known.Type
	case *Cancelled:
		return "Cancelled"
	case *PanicError:
		return "Panic"
	case interface{ ErrorType() string }:
		return strings.ToValidUTF8(known.ErrorType(), "\uFFFD")
	}
	if kind := namedType(err); kind != nil && !isPlain(err) {
		return kind.Name()
	}
	return ""
}

// namedType is the type of an error, behind a pointer; nil where it has no name.
func namedType(err error) reflect.Type {
	kind := reflect.TypeOf(err)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Name() == "" {
		return nil
	}
	return kind
}

// detailsOf records what an error carries, for errors.As after a replay: the exported fields of
// a struct, as far as each can be recorded, and others whole.
func detailsOf(err error) *pb.Payload {
	value := reflect.ValueOf(err)
	if value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	if isPlain(err) || value.Kind() == reflect.Pointer {
		return nil
	}
	data, tagged, problem := marshalDetails(err, value)
	// What the error says matters more than what it carries.
	if problem != nil || len(data) <= len(`{}`) || len(data) > detailsBytesMax {
		return nil
	}
	if tagged {
		return &pb.Payload{Data: data, Encoding: encodingTagged}
	}
	return &pb.Payload{Data: data, Encoding: encodingJSON}
}

func marshalDetails(err error, value reflect.Value) (data []byte, tagged bool, problem error) {
	if value.Kind() != reflect.Struct || marshals(reflect.TypeOf(err)) || marshals(reflect.PointerTo(value.Type())) {
		return marshal(err, false)
	}
	defer recoverInto(&problem)
	t := &tagger{escape: true}
	var members []member
	for _, field := range fieldsOf(value.Type()) {
		item := field.in(value)
		if !item.IsValid() || field.isOmitted(item) {
			continue
		}
		var carried any = item.Interface()
		if inner, is := carried.(error); is && field.kind == errorInterface {
			carried = textOf(inner)
		}
		encoded, hasTags, problem := marshal(carried, true)
		if problem != nil {
			continue
		}
		t.tagged = t.tagged || hasTags
		members = append(members, member{field.name, func() error {
			t.out.Write(encoded)
			return nil
		}})
	}
	problem = t.writeObject(members)
	return t.out.Bytes(), t.tagged, problem
}
