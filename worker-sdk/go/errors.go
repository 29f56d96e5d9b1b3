package pawl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Reason is what to branch on in an answer of the server: errors.Is(err, pawl.NotFound).
type Reason string

// The reasons that programs ask for; docs/errors.md has them all.
const (
	NotFound        Reason = "NOT_FOUND"
	RunExists       Reason = "RUN_EXISTS"
	RunLeased       Reason = "RUN_LEASED"
	RunTerminal     Reason = "RUN_TERMINAL"
	RunPaused       Reason = "RUN_PAUSED"
	LeaseLost       Reason = "LEASE_LOST"
	InvalidInput    Reason = "INVALID_INPUT"
	InvalidArgument Reason = "INVALID_ARGUMENT"
	Unavailable     Reason = "UNAVAILABLE"
)

func (r Reason) Error() string { return string(r) }

// Error is implemented by every error type of this package: errors.As with a *pawl.Error finds whichever it is.
type Error interface {
	error
	pawlError()
}

// RequestError says that the server rejected a request or could not be reached; errors.Is finds its Reason.
type RequestError struct {
	// Such as NOT_FOUND; UNAVAILABLE where no server answered.
	Reason   Reason
	Message  string
	Code     codes.Code
	Metadata map[string]string
	// Zero where the server named none.
	RetryAfter time.Duration
}

func (e *RequestError) Error() string { return string(e.Reason) + ": " + e.Message }

// Is matches a Reason.
func (e *RequestError) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// UsageError says that the program uses this package wrongly, and what to write instead.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

func usage(format string, args ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, args...)}
}

// SerializationError says that a value cannot be recorded, or a recorded one not be read.
type SerializationError struct {
	// What the value is, such as `the result of step "charge"`.
	What string
	Err  error
	// It cannot be read; else it cannot be recorded.
	reading bool
}

func (e *SerializationError) Error() string {
	if e.reading {
		return e.What + " cannot be read: " + textOf(e.Err)
	}
	return e.What + " cannot be encoded: " + textOf(e.Err)
}
func (e *SerializationError) Unwrap() error { return e.Err }

// Cancelled is returned when the run is being cancelled, or when another
// branch of the same All, Map or Race ended this one.
type Cancelled struct{ Reason string }

func (e *Cancelled) Error() string { return e.Reason }

// Is matches context.Canceled.
func (e *Cancelled) Is(target error) bool { return target == context.Canceled }

// StepTimeoutError fails an attempt that took longer than the step's Timeout.
type StepTimeoutError struct {
	Step    string
	Timeout time.Duration
}

func (e *StepTimeoutError) Error() string {
	return fmt.Sprintf("step %q did not finish within its timeout of %v", e.Step, e.Timeout)
}

// WaitTimeoutError is returned by a wait that timed out and has no Default.
type WaitTimeoutError struct {
	What    string
	StepKey string
}

// Is matches context.DeadlineExceeded: the deadline of a wait's context is a timeout of the wait.
func (e *WaitTimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func (e *WaitTimeoutError) Error() string {
	return e.What + " did not arrive in time; give the wait a Default to continue without it"
}

// WaitCancelledError is returned by a wait that somebody cancelled, instead of answering, or whose
// context was cancelled: then it is a context.Canceled.
type WaitCancelledError struct {
	Wait, StepKey string
	// Who cancelled it, and why; empty if unknown.
	Actor, Comment string
}

// Is matches context.Canceled where the wait's context was.
func (e *WaitCancelledError) Is(target error) bool {
	return target == context.Canceled && strings.HasPrefix(e.Comment, contextMark)
}

func (e *WaitCancelledError) Error() string {
	text := fmt.Sprintf("the wait %q was cancelled", e.Wait)
	if e.Actor != "" {
		text += " by " + e.Actor
	}
	if e.Comment != "" {
		text += ": " + e.Comment
	}
	return text
}

// ErrSkipped is what WaitForUser returns if somebody declined to answer.
var ErrSkipped = errors.New("the question was skipped")

// PanicError is the error of a step or branch that panicked.
type PanicError struct {
	Value any
	Stack string
}

func (e *PanicError) Error() string { return "panic: " + describe(e.Value) }

// AmbiguousStepKeyError says that it depends on timing which use of a step name gets which key. It ends the first
// execution of the run.
type AmbiguousStepKeyError struct{ Message string }

func (e *AmbiguousStepKeyError) Error() string { return e.Message }

// NonDeterminismError says that the code does not fit the run's journal. The run is paused until somebody decides.
type NonDeterminismError struct {
	StepKey, Recorded, Attempted, LikelyCause string
}

func (e *NonDeterminismError) Error() string {
	return fmt.Sprintf("step %s is recorded as %s, but the code now asks for %s. Likely cause: %s",
		e.StepKey, e.Recorded, e.Attempted, e.LikelyCause)
}

func (*AmbiguousStepKeyError) pawlError() {}
func (*Cancelled) pawlError()             {}
func (*Failure) pawlError()               {}
func (*NonDeterminismError) pawlError()   {}
func (*PanicError) pawlError()            {}
func (*RequestError) pawlError()          {}
func (*RunFailedError) pawlError()        {}
func (*SerializationError) pawlError()    {}
func (*StepFailedError) pawlError()       {}
func (*StepTimeoutError) pawlError()      {}
func (*UsageError) pawlError()            {}
func (*WaitCancelledError) pawlError()    {}
func (*WaitTimeoutError) pawlError()      {}

const codeChanged = "the code was changed while this run was under way"

// errLeft is the cause of contexts of a run that has left this worker.
var errLeft = errors.New("the run has left this worker")

// terminal marks an error as final.
type terminal struct{ error }

func (t terminal) Unwrap() error { return t.error }

// Terminal says that trying again cannot help: the step fails finally, whatever its Retry says.
// For nil it returns nil.
func Terminal(err error) error {
	if err == nil {
		return nil
	}
	return terminal{err}
}

// retryAfter carries a delay.
type retryAfter struct {
	error
	delay time.Duration
}

func (r retryAfter) Unwrap() error { return r.error }

// RetryAfter overrides the policy's delay before the next attempt; one that is negative is none.
// For nil it returns nil.
func RetryAfter(err error, delay time.Duration) error {
	if err == nil {
		return nil
	}
	return retryAfter{err, delay}
}

func newPanicError(value any) *PanicError {
	stack := make([]byte, stackBytesMax)
	return &PanicError{Value: value, Stack: string(stack[:runtime.Stack(stack, false)])}
}

// contextMark is in front of the reason of a wait that was cancelled since its context was.
const contextMark = "the context was cancelled: "

func unencodable(err error) error {
	return &RequestError{Reason: InvalidArgument, Message: "it cannot be encoded: " + err.Error(), Code: codes.InvalidArgument}
}
