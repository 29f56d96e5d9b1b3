package pawl

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// execute runs the body once.
func (op *stepOperation) execute(ctx context.Context) (stepResult, time.Duration, error) {
	r := op.run
	a := &attempt{step: op, number: op.attempt, began: time.Now()}
	op.deltas.Store(0)
	if r.isCleaningUp() {
		// What it starts now is to be done in spite of the cancellation.
		var stop func()
		ctx, stop = r.whilePresent(context.WithoutCancel(ctx))
		defer stop()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a.scope = &scope{parent: op.scope, prefix: op.key + "/", insideStep: true}
	ctx = withPlace(op.beginTrace(ctx), &place{run: r, scope: a.scope, body: a})
	r.link.noteStart(a)
	var result stepResult
	var err error
	if timeout := op.call.settings.timeout; timeout > 0 {
		result, err = a.callWithin(ctx, timeout)
	} else {
		result, err = a.call(ctx)
	}
	op.over = time.Now()
	latency := op.over.Sub(a.began)
	a.ended.Store(true)
	over := &CancelledError{Reason: fmt.Sprintf("step %q is over", op.name)}
	cancel(over)
	r.mu.Lock()
	deltas := a.sequence > 0
	if op.hasInner.Load() {
		r.closeStepScope(a.scope, over)
	}
	r.mu.Unlock()
	if deltas {
		r.link.flush(r)
	}
	if r.isGone() {
		runtime.Goexit()
	}
	return result, latency, err
}

// call runs the body on this goroutine.
func (a *attempt) call(ctx context.Context) (result stepResult, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if value := recover(); value != nil {
			err = newPanicError(value)
		} else if r := a.step.run; !r.isGone() {
			go r.end(errGoexit)
		}
	}()
	result, err = a.step.call.body(ctx)
	returned = true
	return result, err
}

// callWithin gives up on a body that takes longer; its context is cancelled then.
func (a *attempt) callWithin(ctx context.Context, timeout time.Duration) (stepResult, error) {
	late := &StepTimeoutError{Step: a.step.name, Timeout: timeout}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	type ending struct {
		result stepResult
		err    error
	}
	done := make(chan ending, 1)
	go func() {
		result, err := a.call(ctx)
		done <- ending{result, err}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r := <-done:
		if isDeadline(r.err) && context.Cause(ctx) == error(late) {
			return stepResult{}, late
		}
		return r.result, r.err
	case <-timer.C:
		return stepResult{}, late
	case <-a.step.run.gone:
		runtime.Goexit()
		return stepResult{}, nil
	}
}

// whilePresent cancels a context when the run leaves.
func (r *run) whilePresent(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.present, func() { cancel(errLeft) })
	return ctx, func() { stop(); cancel(errLeft) }
}

// isCleaningUp: the cancellation has reached user code.
func (r *run) isCleaningUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cancelDelivered
}
