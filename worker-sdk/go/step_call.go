package pawl

import (
	"context"
	"fmt"

	pb "pawl.dev/pawl/pawlv1"
)

// enter finds the place of a call, and notes that a step has steps inside.
func enter(ctx context.Context) (*place, bool) {
	p, ok := placeOf(ctx)
	if ok && p.body != nil {
		p.body.step.hasInner.Store(true)
	}
	return p, ok
}

// Step runs fn and records its result under name. In every later execution of the
// run the recorded result is returned, and fn does not run.
//
// A step runs at least once. If the worker crashes after fn has returned and before
// the server has recorded the result, fn runs again, with a higher attempt. Make
// effects idempotent: pass the idempotency key of CurrentAttempt(ctx), which is the
// same for all attempts, to the service that you call. For an effect that must not
// happen twice and has no idempotency key, use AtMostOnce.
//
// An error of fn is retried according to the step's Retry; without one there is no
// retry. When no attempt is left, the error is a *StepFailedError, with the same content in
// every replay.
//
// The context of fn is cancelled when the run is cancelled or moves to another worker,
// or when its branch or timeout ends. Outside of a run, fn is simply called.
func Step[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error), options ...StepOption) (T, error) {
	return step(ctx, &stepCall{name: name, kind: pb.StepKind_STEP_KIND_STEP}, fn, options)
}

// Do is Step for a function without a result.
func Do(ctx context.Context, name string, fn func(ctx context.Context) error, options ...StepOption) error {
	_, err := Step(ctx, name, func(ctx context.Context) (Void, error) { return Void{}, fn(ctx) }, options...)
	return err
}

// Apply is Step with an input. A digest of the input is recorded; if it differs in a
// replay, the run is paused with NON_DETERMINISM.
func Apply[In, Out any](ctx context.Context, name string, fn func(ctx context.Context, in In) (Out, error), in In, options ...StepOption) (Out, error) {
	what := fmt.Sprintf("the input of step %q", name)
	call := &stepCall{name: name, kind: pb.StepKind_STEP_KIND_STEP}
	var err error
	var none Out
	if call.inputDigest, err = digest([]any{in}, what); err != nil {
		return none, err
	}
	input, err := encode(in, what)
	if err != nil {
		return none, err
	}
	if len(input.Data) <= shownInputBytesMax {
		call.input = input
	}
	return step(ctx, call, func(ctx context.Context) (Out, error) { return fn(ctx, in) }, options)
}

func step[T any](ctx context.Context, call *stepCall, fn func(ctx context.Context) (T, error), options []StepOption) (T, error) {
	var none T
	p, inRun := enter(ctx)
	if !inRun {
		return fn(ctx)
	}
	if err := checkName("a step", call.name); err != nil {
		return none, err
	}
	call.settings = p.run.stepSettings(options)
	if call.settings.err != nil {
		return none, call.settings.err
	}
	call.body = bodyOf(call.name, fn)
	return resultOfStep[T](ctx, p, call)
}

// resultOfStep runs a step, or hands out what is recorded of it.
func resultOfStep[T any](ctx context.Context, p *place, call *stepCall) (T, error) {
	var none T
	result, err := p.run.step(ctx, p.scope, call)
	if err != nil {
		return none, err
	}
	if known, isNew := result.value.(*T); isNew {
		return *known, nil
	}
	var value T
	if err := decodeInto(result.payload, &value); err != nil {
		p.run.exit(&NonDeterminismError{
			StepKey:     p.scope.prefix + call.name,
			Recorded:    fmt.Sprintf("a value that does not fit (%v)", err),
			Attempted:   fmt.Sprintf("a %T", value),
			LikelyCause: "the step's result type was changed while this run was under way, or does not read what it writes as JSON",
		})
	}
	return value, nil
}

// bodyOf is a body whose result is encoded, and read again: what the code gets is what a replay
// will give it, and what cannot be read back fails the attempt that made it.
func bodyOf[T any](name string, fn func(ctx context.Context) (T, error)) func(ctx context.Context) (stepResult, error) {
	return func(ctx context.Context) (stepResult, error) {
		made, err := fn(ctx)
		if err != nil {
			return stepResult{}, err
		}
		what := fmt.Sprintf("the result of step %q", name)
		payload, err := encode(made, what)
		if err != nil {
			return stepResult{}, err
		}
		value := new(T)
		if err := decodeInto(payload, value); err != nil {
			return stepResult{}, &SerializationError{What: what, Err: err, reading: true}
		}
		return stepResult{payload, value}, nil
	}
}
