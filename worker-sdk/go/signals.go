package pawl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	pb "pawl.dev/pawl/pawlv1"
)

// Signal waits for the next signal with this name and returns its payload. A signal that
// was sent before the wait counts. Without a Timeout it waits forever, because waiting
// costs nothing. At the Timeout it returns the Default, or a WaitTimeoutError without one.
func Signal[T any](ctx context.Context, name string, options ...WaitOption) (T, error) {
	var none T
	var settings waitSettings
	for _, option := range options {
		option.applyWait(&settings)
	}
	fallback, fits := fallbackOf[T](&settings)
	if !fits {
		return none, usage("the Default of signal %q is a %T, not a %T", name, settings.fallback, none)
	}
	p, inRun := enter(ctx)
	if !inRun {
		return none, usage("Signal(%q) needs a run: it was called with a context that is in none", name)
	}
	spec := &pb.WaitSpec{SignalName: name}
	settings.limit(spec)
	end, err := p.run.await(ctx, p.scope, &waitCall{space: spaceSignal, name: name, kind: pb.StepKind_STEP_KIND_SIGNAL, spec: spec})
	if err != nil {
		return none, err
	}
	if end.outcome == "timed_out" {
		if settings.hasDefault {
			return fallback, nil
		}
		return none, &WaitTimeoutError{What: fmt.Sprintf("the signal %q", name), StepKey: end.stepKey}
	}
	return decode[T](end.payload, fmt.Sprintf("the payload of signal %q", name))
}

// Signals takes the signals of that name one after the other:
//
//	for order, err := range pawl.Signals[Order](ctx, "order") { … }
//
// With a Timeout the iteration ends when none has arrived for so long. After an error it
// ends, too. Its keys are in a scope of its own, which counts the signals that it took.
func Signals[T any](ctx context.Context, name string, options ...WaitOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var settings waitSettings
		for _, option := range options {
			option.applyWait(&settings)
		}
		p, inRun := enter(ctx)
		if !inRun {
			yield(none, usage("Signals(%q) needs a run: it was called with a context that is in none", name))
			return
		}
		if err := checkName("a wait", name); err != nil {
			yield(none, err)
			return
		}
		r := p.run
		key, err := r.claim(p.scope, spaceSignals, name, "")
		if err != nil {
			yield(none, err)
			return
		}
		r.mu.Unlock()
		inner := p.scope.child(key[len(p.scope.prefix):])
		spec := &pb.WaitSpec{SignalName: name}
		settings.limit(spec)
		for {
			value, err := nextSignal[T](ctx, p, inner, &waitCall{space: spaceSignal, name: name, kind: pb.StepKind_STEP_KIND_SIGNAL, spec: spec})
			if errors.Is(err, errNoSignal) {
				return
			}
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

var errNoSignal = errors.New("no signal came in time")

func nextSignal[T any](ctx context.Context, p *place, inner *scope, call *waitCall) (T, error) {
	var none T
	r := p.run
	r.lockPresent()
	// While one is awaited, that is in flight in the scope around, as any wait would be.
	key := strings.TrimSuffix(inner.prefix, "/")
	p.scope.occupy(key, 1)
	r.mu.Unlock()
	end, err := r.await(ctx, inner, call)
	r.lockPresent()
	p.scope.occupy(key, -1)
	r.mu.Unlock()
	if err != nil {
		return none, err
	}
	if end.outcome == "timed_out" {
		return none, errNoSignal
	}
	return decode[T](end.payload, fmt.Sprintf("the payload of signal %q", call.name))
}
