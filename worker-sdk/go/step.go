package pawl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// stepCall is what is to be executed.
type stepCall struct {
	name        string
	kind        pb.StepKind
	settings    stepSettings
	inputDigest string
	// The input, for people, where it is small.
	input *pb.Payload
	// The body; its result is encoded.
	body func(ctx context.Context) (*pb.Payload, error)
}

// stepOperation is one step, from being asked for until its result is returned.
type stepOperation struct {
	*operation
	call *stepCall
	// Of the next or current attempt, from 1.
	attempt  uint32
	hasInner atomic.Bool
}

// attempt is one execution of a step's body.
type attempt struct {
	step   *stepOperation
	number uint32
	began  time.Time
	ended  atomic.Bool
	// The scope of the steps inside of the body.
	scope *scope
	// How many deltas it has sent. Guarded by the run's mutex.
	sequence uint32
}

// step runs a step, or hands out what is recorded of it.
func (r *run) step(ctx context.Context, s *scope, call *stepCall) (*pb.Payload, error) {
	space := spaceStep
	if call.kind == pb.StepKind_STEP_KIND_VALUE {
		space = spaceValue
	}
	base, err := r.open(s, space, call.name, call.settings.key, call.kind)
	if err != nil {
		return nil, err
	}
	op := &stepOperation{operation: base, call: call}
	if rec := r.memo.take(op.key); rec != nil {
		if clash := op.conflict(rec, call.inputDigest, call.settings.definitionDigest); clash != nil {
			r.mu.Unlock()
			r.exit(clash)
		}
		r.queue.add(base, rec.seq, true)
		r.queue.block(s)
		return op.replay(rec)
	}
	r.queue.park(base)
	r.queue.block(s)
	return op.perform(ctx)
}

// replay hands out a record, once it is its turn. The run is locked, and not any more when it returns.
func (op *stepOperation) replay(rec *record) (*pb.Payload, error) {
	op.recorded = true
	op.awaitDelivery()
	op.close()
	if rec.failure == nil && !op.scope.insideStep {
		delete(op.run.memo.records, op.key)
	}
	op.run.mu.Unlock()
	if rec.failure != nil {
		return nil, &StepError{Failure: failureOf(rec.failure), StepKey: op.key, Attempts: int(rec.attempt)}
	}
	payload, err := op.run.fetch(rec.payload)
	if err != nil {
		op.run.exit(err)
	}
	return payload, nil
}

// perform executes attempts until one is recorded for good. Locked before, unlocked after.
func (op *stepOperation) perform(ctx context.Context) (*pb.Payload, error) {
	r := op.run
	due, backs := r.memo.backing[op.key]
	op.attempt = r.memo.attempts[op.key] + 1
	for {
		if wait := r.until(due); backs && wait > 0 {
			op.backOff(ctx, wait)
		}
		if op.aborted != nil || !op.admit(ctx) {
			err := op.cancelled()
			r.mu.Unlock()
			return nil, err
		}
		r.setBusy(true)
		r.mu.Unlock()
		if r.link.confirmsStarts() || r.item.ConfirmStarts || op.call.settings.atMostOnce {
			rec, wait := op.confirm()
			if rec != nil {
				return op.replay(rec)
			}
			if wait >= 0 {
				due, backs = r.fromNow(wait), true
				continue
			}
		}
		payload, latency, err := op.execute(ctx)
		if err == nil {
			payload, err = op.completed(payload, latency)
			if err == nil {
				return payload, nil
			}
		}
		failure, wait, final := op.failed(err, latency)
		if final {
			return nil, failure
		}
		due, backs = r.fromNow(wait), true
	}
}

// confirm has the start committed before the body runs. It returns a record to
// replay (the run is locked then), or how long to wait before asking again (the run
// is locked then), or -1: execute.
func (op *stepOperation) confirm() (*record, time.Duration) {
	r := op.run
	r.mu.Lock()
	requestID := r.nextRequestID()
	r.mu.Unlock()
	message, err := r.ask(func() proto.Message {
		request := op.startMessage()
		request.RequestId = requestID
		return request
	}, nil)
	if err != nil {
		r.exit(err)
	}
	response := message.(*pb.StepStartedResponse)
	r.obeyLater(response.Directive)
	if execute := response.GetExecute(); execute != nil {
		op.attempt = execute.Attempt
		return nil, -1
	}
	if clash := response.GetConflict(); clash != nil {
		r.exit(&NonDeterminismError{
			StepKey: op.key, Recorded: clash.Recorded.GetName() + " with another input or definition",
			Attempted: op.name, LikelyCause: codeChanged,
		})
	}
	if stop := response.GetStop(); stop != nil {
		r.stop(stop.Reason, stop.Fence)
	}
	if response.GetUnknownOutcome() != nil {
		// The platform pauses the run: a person has to say whether the step took effect.
		r.pause()
	}
	r.lockPresent()
	r.setBusy(false)
	if replay := response.GetReplay(); replay != nil {
		rec := &record{seq: r.queue.lastSeq, attempt: op.attempt, payload: replay.GetOutput(), failure: replay.GetFailure()}
		r.queue.push(op.operation, rec.seq, true)
		return rec, 0
	}
	if wait := response.GetWait(); wait != nil {
		pause := hotWait
		if wait.Until != nil {
			pause = r.until(wait.Until.AsTime())
		}
		return nil, max(pause, 20*time.Millisecond)
	}
	return nil, 0
}

// backOff waits for the next attempt: here if it is soon, else the run may be
// suspended meanwhile. The run is locked.
func (op *stepOperation) backOff(ctx context.Context, wait time.Duration) {
	r := op.run
	hot := wait <= hotRetry
	if hot {
		r.setBusy(true)
	} else {
		r.addWait(op.key, r.fromNow(wait))
	}
	over := false
	timer := time.AfterFunc(wait, func() {
		r.mu.Lock()
		over = true
		op.signal()
		r.mu.Unlock()
	})
	op.wait(ctx, func() bool { return over || op.aborted != nil })
	timer.Stop()
	if hot {
		r.setBusy(false)
	} else {
		r.removeWait(op.key)
	}
}

// execute runs the body once.
func (op *stepOperation) execute(ctx context.Context) (*pb.Payload, time.Duration, error) {
	r := op.run
	a := &attempt{step: op, number: op.attempt, began: time.Now()}
	if r.isCleaningUp() {
		// What it starts now is to be done in spite of the cancellation.
		var stop func()
		ctx, stop = r.whilePresent(context.WithoutCancel(ctx))
		defer stop()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a.scope = &scope{parent: op.scope, prefix: op.key + "/", insideStep: true}
	ctx = withPlace(ctx, &place{run: r, scope: a.scope, body: a})
	r.link.noteStart(a)
	var payload *pb.Payload
	var err error
	if timeout := op.call.settings.timeout; timeout > 0 {
		payload, err = a.callWithin(ctx, timeout)
	} else {
		payload, err = a.call(ctx)
	}
	latency := time.Since(a.began)
	a.ended.Store(true)
	over := &CancelledError{Reason: fmt.Sprintf("step %q is over", op.name)}
	cancel(over)
	r.mu.Lock()
	deltas := a.sequence > 0
	if op.hasInner.Load() {
		r.endScope(a.scope, over)
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

// completed reports a result. The error is one to record as the attempt's failure.
func (op *stepOperation) completed(payload *pb.Payload, latency time.Duration) (*pb.Payload, error) {
	r := op.run
	sent, err := r.store(payload, fmt.Sprintf("the result of step %q", op.name))
	if err != nil {
		return nil, err
	}
	var directive pb.Directive
	_, err = r.ask(func() proto.Message {
		return &pb.StepCompletedRequest{
			RunId: r.id, Fence: r.fence, StepKey: op.key, Attempt: op.attempt, Output: sent,
			Name: op.call.name, Kind: op.call.kind, Input: op.call.input,
			InputDigest: op.call.inputDigest, DefinitionDigest: op.call.settings.definitionDigest,
			LatencyMs: milliseconds(latency),
		}
	}, func(message proto.Message) {
		response := message.(*pb.StepCompletedResponse)
		directive = response.Directive
		r.mu.Lock()
		defer r.mu.Unlock()
		op.recorded = true
		if op.scope.insideStep {
			// A new attempt of the step around it asks again.
			r.memo.remember(op.key, op.recordAt(response.Seq, sent, nil))
		}
		if op.hasInner.Load() {
			r.memo.forgetWithin(op.key)
		}
		r.queue.push(op.operation, response.Seq, false)
	})
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Reason == "PAYLOAD_TOO_LARGE" {
		return nil, Terminal(err)
	}
	if err != nil {
		r.exit(err)
	}
	r.lockPresent()
	op.awaitDelivery()
	op.close()
	r.setBusy(false)
	r.mu.Unlock()
	r.obeyLater(directive)
	return payload, nil
}

func (op *stepOperation) recordAt(seq uint32, payload *pb.Payload, failure *pb.Failure) *record {
	return &record{
		seq: seq, kind: op.kind, attempt: op.attempt, payload: payload, failure: failure,
		inputDigest: op.call.inputDigest, definitionDigest: op.call.settings.definitionDigest,
	}
}

// failed reports a failed attempt: either it is final, and the error is user
// code's, or another attempt follows in a while, and the run is locked.
func (op *stepOperation) failed(err error, latency time.Duration) (error, time.Duration, bool) {
	r := op.run
	r.mu.Lock()
	if op.aborted == nil {
		op.aborted = op.scope.endedBy()
	}
	if op.aborted != nil {
		// Stopped before there was anything to record.
		final := op.cancelled()
		r.setBusy(false)
		r.mu.Unlock()
		return final, 0, true
	}
	r.mu.Unlock()
	failure := toFailure(err)
	var inner *StepError
	var cancelled *CancelledError
	// A step inside has failed for good: trying this one again would only replay that.
	isInner := errors.As(err, &inner) && strings.HasPrefix(inner.StepKey, op.key+"/")
	if isInner || errors.As(err, &cancelled) {
		failure.NonRetryable = true
	}
	message, err := r.ask(func() proto.Message { return op.failedMessage(failure, latency) }, func(message proto.Message) {
		response := message.(*pb.StepFailedResponse)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.memo.attempts[op.key] = op.attempt
		if response.GetRetry() != nil || response.GetFinal().GetAction() == pb.StepFailedResponse_Final_ACTION_PAUSE {
			return
		}
		op.recorded = true
		if op.scope.insideStep {
			r.memo.remember(op.key, op.recordAt(response.Seq, nil, failure))
		}
		r.queue.push(op.operation, response.Seq, false)
	})
	if err != nil {
		r.exit(err)
	}
	response := message.(*pb.StepFailedResponse)
	if response.GetFinal().GetAction() == pb.StepFailedResponse_Final_ACTION_PAUSE {
		r.leave(fmt.Sprintf("step %q has no attempt left, and the run is paused", op.name))
		runtime.Goexit()
	}
	r.obeyLater(response.Directive)
	r.lockPresent()
	if retry := response.GetRetry(); retry != nil {
		op.attempt = max(retry.Attempt, op.attempt+1)
		r.setBusy(false)
		return nil, r.retryDelay(retry), false
	}
	op.awaitDelivery()
	op.close()
	r.setBusy(false)
	r.mu.Unlock()
	return &StepError{Failure: failureOf(failure), StepKey: op.key, Attempts: int(op.attempt)}, 0, true
}

func (op *stepOperation) failedMessage(failure *pb.Failure, latency time.Duration) *pb.StepFailedRequest {
	return &pb.StepFailedRequest{
		RunId: op.run.id, Fence: op.run.fence, StepKey: op.key, Attempt: op.attempt, Failure: failure,
		Name: op.call.name, Kind: op.call.kind, Input: op.call.input,
		InputDigest: op.call.inputDigest, DefinitionDigest: op.call.settings.definitionDigest,
		LatencyMs: milliseconds(latency), RetryPolicy: op.call.settings.retry,
	}
}

func (op *stepOperation) startMessage() *pb.StepStartedRequest {
	settings := op.call.settings
	request := &pb.StepStartedRequest{
		RunId: op.run.id, Fence: op.run.fence, StepKey: op.key,
		Name: op.call.name, Kind: op.call.kind, Input: op.call.input,
		InputDigest: op.call.inputDigest, DefinitionDigest: settings.definitionDigest,
		RetryPolicy: settings.retry, Recovery: pb.Recovery_RECOVERY_RETRY,
	}
	if settings.atMostOnce {
		request.Recovery = pb.Recovery_RECOVERY_AT_MOST_ONCE
	}
	if settings.timeout > 0 {
		request.Timeout = durationpb.New(settings.timeout)
	}
	return request
}

func (r *run) retryDelay(retry *pb.StepFailedResponse_Retry) time.Duration {
	if retry.Delay != nil {
		return retry.Delay.AsDuration()
	}
	return max(0, r.until(retry.At.AsTime()))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

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
