package pawl

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// completed reports a result. The error is one to record as the attempt's failure.
func (op *stepOperation) completed(payload *pb.Payload, latency time.Duration) error {
	r := op.run
	sent, err := r.store(payload, fmt.Sprintf("the result of step %q", op.name))
	if err != nil {
		return err
	}
	var directive pb.Directive
	_, err = r.ask(func() proto.Message {
		if op.isStopped() {
			return nil
		}
		return &pb.StepCompletedRequest{
			RunId: r.id, Fence: r.fence, StepKey: op.key, Attempt: op.attempt, Output: sent,
			Name: op.call.name, Kind: op.call.kind, Input: op.call.input,
			InputDigest: op.call.inputDigest, DefinitionDigest: op.call.settings.definitionDigest,
			LatencyMs: milliseconds(latency), Deltas: op.deltas.Load(),
		}
	}, func(message proto.Message) {
		response := message.(*pb.StepCompletedResponse)
		directive = response.Directive
		r.mu.Lock()
		defer r.mu.Unlock()
		r.careful = false
		op.recorded = true
		r.catchUp(op.operation, response.Seq)
		if op.scope.insideStep {
			// A new attempt of the step around it asks again.
			r.memo.remember(op.key, op.recordAt(response.Seq, sent, nil))
		}
		if op.hasInner.Load() {
			r.memo.forgetWithin(op.key)
		}
		r.queue.pushNew(op.operation, response.Seq)
	})
	if cancelled, is := err.(*Cancelled); is {
		return cancelled
	}
	if isRefused(err) {
		return Terminal(err)
	}
	if err != nil {
		r.exit(err)
	}
	op.endTrace("completed", "")
	r.lockPresent()
	r.setBusy(false)
	op.awaitDelivery()
	told := r.isCancelPending(op.operation)
	if told {
		// It is on record, but the cancel has to be told somewhere: here, and not in the code's clean-up.
		r.noteCancelled()
	}
	op.close()
	r.mu.Unlock()
	if told {
		return errToldInstead
	}
	r.obeyLater(directive)
	return nil
}

// errToldInstead says that the result is recorded, and the code was told of the run's cancel in its place.
var errToldInstead = errors.New("the run was cancelled")

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
	aborted := op.aborted != nil
	r.mu.Unlock()
	if aborted {
		return op.stopped(latency), 0, true
	}
	failure := toFailure(err)
	inner, hasInner := find[*StepFailedError](err)
	_, isCancelled := find[*Cancelled](err)
	// A step inside has failed for good: trying this one again would only replay that.
	if isCancelled || hasInner && strings.HasPrefix(inner.StepKey, op.key+"/") {
		failure.NonRetryable = true
	}
	taken := func(message proto.Message) {
		response := message.(*pb.StepFailedResponse)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.careful = false
		r.memo.attempts[op.key] = op.attempt
		if response.GetRetry() != nil || response.GetFinal().GetAction() == pb.StepFailedResponse_Final_ACTION_PAUSE {
			return
		}
		op.recorded = true
		r.catchUp(op.operation, response.Seq)
		if op.scope.insideStep {
			r.memo.remember(op.key, op.recordAt(response.Seq, nil, failure))
		}
		r.queue.pushNew(op.operation, response.Seq)
	}
	request := func() proto.Message {
		if op.isStopped() {
			return nil
		}
		return op.failedMessage(failure, latency)
	}
	message, err := r.ask(request, taken)
	if isRefused(err) {
		// What the error carries may be what is refused.
		failure = bareFailure(failure, err)
		message, err = r.ask(request, taken)
	}
	if _, isCancelled := err.(*Cancelled); isCancelled {
		return op.stopped(latency), 0, true
	}
	if isRefused(err) {
		op.endTrace("failed", failure.Type)
		return op.refused(err), 0, true
	}
	if err != nil {
		r.exit(err)
	}
	response := message.(*pb.StepFailedResponse)
	if response.GetRetry() != nil {
		op.endTrace("retrying", failure.Type)
	} else {
		op.endTrace("failed", failure.Type)
	}
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
	r.setBusy(false)
	op.awaitDelivery()
	op.close()
	r.mu.Unlock()
	return &StepFailedError{Failure: failureOf(failure), StepKey: op.key, Attempts: int(op.attempt)}, 0, true
}

// isRefused says whether a report is not taken for what it holds; else another attempt's stands against it.
func isRefused(err error) bool {
	var refusal *RequestError
	return errors.As(err, &refusal) && refusal.Reason != "COMMIT_CONFLICT" && refusal.Reason != "STEP_INPUT_MISMATCH"
}

// isStopped says whether the run was cancelled while the attempt was in flight. What it came to is not recorded, also
// where the code has been told of the cancel elsewhere by now. The run is locked.
func (op *stepOperation) isStopped() bool {
	r := op.run
	return r.isCancelPending(op.operation) || r.cancelReason != nil && op.aborted != nil
}

// stopped reports that the attempt was, and returns what user code is told.
func (op *stepOperation) stopped(latency time.Duration) error {
	r := op.run
	r.mu.Lock()
	if op.aborted == nil {
		op.aborted = r.cancelReason
	}
	r.mu.Unlock()
	op.reportCancelled(latency)
	r.lockPresent()
	err := op.cancelled()
	r.setBusy(false)
	r.mu.Unlock()
	op.endTrace("cancelled", "")
	return err
}

// reportCancelled has the end of an attempt on record that its branch or run has ended: it is not a
// failure, and asked for again, the step is executed anew.
func (op *stepOperation) reportCancelled(latency time.Duration) {
	r := op.run
	_, err := r.ask(func() proto.Message {
		message := op.failedMessage(&pb.Failure{Type: "Cancelled", Message: op.aborted.Reason}, latency)
		message.Cancelled = true
		return message
	}, nil)
	if err != nil {
		r.log.Debug("the end of a step that was stopped is not on record", "run", r.id, "step", op.key, "error", err)
	}
}

func (op *stepOperation) failedMessage(failure *pb.Failure, latency time.Duration) *pb.StepFailedRequest {
	return &pb.StepFailedRequest{
		RunId: op.run.id, Fence: op.run.fence, StepKey: op.key, Attempt: op.attempt, Failure: failure,
		Name: op.call.name, Kind: op.call.kind, Input: op.call.input,
		InputDigest: op.call.inputDigest, DefinitionDigest: op.call.settings.definitionDigest,
		LatencyMs: milliseconds(latency), RetryPolicy: op.call.settings.retry, Deltas: op.deltas.Load(),
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
	if settings.hasTimeout && settings.timeout > 0 {
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
