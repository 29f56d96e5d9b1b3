package pawl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// execute runs the body once.
func (op *stepOperation) execute(ctx context.Context) (*pb.Payload, time.Duration, error) {
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
	var payload *pb.Payload
	var err error
	if timeout := op.call.settings.timeout; timeout > 0 {
		payload, err = a.callWithin(ctx, timeout)
	} else {
		payload, err = a.call(ctx)
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
	return payload, latency, err
}

// call runs the body on this goroutine.
func (a *attempt) call(ctx context.Context) (payload *pb.Payload, err error) {
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
	payload, err = a.step.call.body(ctx)
	returned = true
	return payload, err
}

// callWithin gives up on a body that takes longer; its context is cancelled then.
func (a *attempt) callWithin(ctx context.Context, timeout time.Duration) (*pb.Payload, error) {
	late := &StepTimeoutError{Step: a.step.name, Timeout: timeout}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	type result struct {
		payload *pb.Payload
		err     error
	}
	done := make(chan result, 1)
	go func() {
		payload, err := a.call(ctx)
		done <- result{payload, err}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r := <-done:
		if errors.Is(r.err, context.DeadlineExceeded) && context.Cause(ctx) == error(late) {
			return nil, late
		}
		return r.payload, r.err
	case <-timer.C:
		return nil, late
	case <-a.step.run.gone:
		runtime.Goexit()
		return nil, nil
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
