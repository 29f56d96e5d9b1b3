package pawl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// execute runs the body once.
func (op *stepOperation) execute(ctx context.Context) (stepResult, time.Duration, error) {
	r := op.run
	a := &attempt{step: op, number: op.attempt, began: time.Now(), allowed: op.allowed}
	if p, _ := placeOf(ctx); p.body != nil {
		a.deadline = p.body.deadline
	}
	op.deltas.Store(0)
	if !r.isCleaningUp() {
		// A cancel ends the attempt, unless it is a part of a clean-up.
		if !op.scope.isShielded() {
			a.abandoned = r.abandoned
		}
	} else {
		// What it starts now is to be done in spite of the cancellation.
		var stop func()
		ctx, stop = r.whilePresent(context.WithoutCancel(ctx))
		defer stop()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a.scope = &scope{parent: op.scope, prefix: op.key + "/", insideStep: true}
	ctx = withPlace(op.beginTrace(ctx), &place{run: r, scope: a.scope, body: a})
	r.link.noteStart(a)
	r.mu.Lock()
	op.isRepeatable = !op.call.settings.atMostOnce
	r.mu.Unlock()
	result, err := a.perform(ctx)
	op.over = time.Now()
	latency := op.over.Sub(a.began)
	a.ended.Store(true)
	over := &Cancelled{Reason: fmt.Sprintf("step %q is over", op.name)}
	cancel(over)
	r.mu.Lock()
	op.isRepeatable = false
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

// ending is how an attempt ended.
type ending struct {
	result stepResult
	err    error
}

// perform runs the body, in a goroutine of its own: nothing can end one that does not listen to
// its context, so that where its time is up, or it has not ended soon after a cancel, the code
// continues without it.
func (a *attempt) perform(ctx context.Context) (stepResult, error) {
	settings := &a.step.call.settings
	var late *StepTimeoutError
	var timeUp <-chan time.Time
	if settings.hasTimeout {
		late = &StepTimeoutError{Step: a.step.name, Timeout: settings.timeout}
		if settings.timeout <= 0 {
			return stepResult{}, late
		}
		deadline := a.began.Add(settings.timeout)
		if a.deadline.IsZero() || deadline.Before(a.deadline) {
			a.deadline = deadline
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline, late)
		defer cancel()
		timer := time.NewTimer(settings.timeout)
		defer timer.Stop()
		timeUp = timer.C
	}
	done := make(chan ending, 1)
	go a.call(ctx, done)
	r := a.step.run
	select {
	case end := <-done:
		if late != nil && isDeadline(end.err) && context.Cause(ctx) == error(late) {
			return stepResult{}, late
		}
		return end.result, end.err
	case <-timeUp:
		return stepResult{}, late
	case <-a.abandoned:
		return stepResult{}, errAbandoned
	case <-r.gone:
		runtime.Goexit()
		return stepResult{}, nil
	}
}

var errAbandoned = errors.New("the body did not end in time after the run was cancelled")

// errNotBegun says that the process stood still between the permission to begin and the body, so that the run may
// be somebody else's by now.
var errNotBegun = errors.New("the process stood still before the body began")

// call runs the body on this goroutine.
func (a *attempt) call(ctx context.Context, done chan<- ending) {
	var end ending
	returned := false
	defer func() {
		if !returned {
			if value := recover(); value != nil {
				end = ending{err: newPanicError(value)}
			} else {
				if r := a.step.run; !r.isGone() {
					r.end(errGoexit)
				}
				return
			}
		}
		done <- end
	}()
	if a.step.run.link.stoodStillSince(a.allowed) {
		end.err = errNotBegun
	} else {
		end.result, end.err = a.step.call.body(ctx)
	}
	returned = true
}

// whilePresent cancels a context when the run leaves.
func (r *run) whilePresent(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.present, func() { cancel(errLeft) })
	return ctx, func() { stop(); cancel(errLeft) }
}

// isCleaningUp says whether the cancellation has reached user code.
func (r *run) isCleaningUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cancelDelivered
}
