// Section T of docs/replay-machine.md.

package pawl

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// stepCall is what is to be executed.
type stepCall struct {
	name string
	// The key, where it was claimed before: of a compensation.
	claimed     string
	kind        pb.StepKind
	settings    stepSettings
	inputDigest string
	// The input, for people, where it is small.
	input *pb.Payload
	body  func(ctx context.Context) (stepResult, error)
}

// stepResult is what a step comes to: encoded, and for the caller of the body a pointer to it.
type stepResult struct {
	payload *pb.Payload
	// Nil where it is out of the journal.
	value any
}

// stepOperation is one step, from being asked for until its result is returned.
type stepOperation struct {
	*operation
	call *stepCall
	// Of the next or current attempt, from 1.
	attempt  uint32
	hasInner atomic.Bool
	// The number of the latest event that the attempt has sent; 0 for none.
	deltas atomic.Uint32
	// Tells the tracer how the attempt ended; nil where there is none.
	tell func(StepEnd)
	// When the body of the attempt was over.
	over time.Time
	// When the attempt was last allowed to begin, or asked for that.
	allowed time.Time
	// Of the start that was asked for last; empty where none was.
	startID string
}

// attempt is one execution of a step's body.
type attempt struct {
	step   *stepOperation
	number uint32
	began  time.Time
	// When the platform last allowed it to begin.
	allowed time.Time
	// Of the timeouts of this step and those around it, the one that ends first; zero where there is none.
	deadline time.Time
	// Closed when a cancel no longer waits for it; nil where none ends it.
	abandoned <-chan struct{}
	ended     atomic.Bool
	// The scope of the steps inside of the body.
	scope *scope
	// How many deltas it has sent. Guarded by the run's mutex.
	sequence uint32
}

// step runs a step, or hands out what is recorded of it.
func (r *run) step(ctx context.Context, s *scope, call *stepCall) (stepResult, error) {
	space := spaceStep
	if call.kind == pb.StepKind_STEP_KIND_VALUE {
		space = spaceValue
	}
	key := call.claimed
	if key == "" {
		claimed, err := r.claim(s, space, call.name, call.settings.key)
		if err != nil {
			return stepResult{}, err
		}
		key = claimed
	} else {
		r.lockPresent()
	}
	base := r.begin(s, key, call.name, call.kind)
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
func (op *stepOperation) replay(rec *record) (stepResult, error) {
	op.recorded = true
	op.awaitDelivery()
	op.close()
	if rec.failure == nil && !op.scope.insideStep {
		delete(op.run.memo.records, op.key)
	}
	op.run.mu.Unlock()
	if rec.failure != nil {
		return stepResult{}, &StepFailedError{Failure: failureOf(rec.failure), StepKey: op.key, Attempts: int(rec.attempt)}
	}
	payload, err := op.run.fetch(rec.payload)
	if err != nil {
		op.run.exit(err)
	}
	return stepResult{payload: payload}, nil
}

// perform executes attempts until one is recorded for good. Locked before, unlocked after.
func (op *stepOperation) perform(ctx context.Context) (stepResult, error) {
	r := op.run
	due, backs := r.memo.backing[op.key]
	op.attempt = r.memo.attempts[op.key] + 1
attempts:
	for {
		if wait := r.until(due); backs && wait > 0 {
			op.backOff(ctx, wait)
		}
		if op.aborted != nil || !op.admit(ctx) {
			err := op.cancelled()
			r.mu.Unlock()
			return stepResult{}, err
		}
		r.setBusy(true)
		op.allowed, op.startID = time.Now(), ""
		confirms := r.careful || r.link.confirmsStarts() || r.item.ConfirmStarts || op.call.settings.atMostOnce
		cleansUp := r.cancelDelivered
		r.mu.Unlock()
		if ended := endedByUser(ctx); ended != nil && !cleansUp {
			// A failure of the step as any other: on another day the context might not be done here.
			failure, _, _ := op.failed(Terminal(fmt.Errorf("the context of step %q is done: %w", op.name, ended)), 0)
			return stepResult{}, failure
		}
		var result stepResult
		var latency time.Duration
		err := errNotBegun
		for begins := true; begins; begins = err == errNotBegun && !op.isAborted() {
			if confirms {
				rec, wait, err := op.confirm()
				if err != nil {
					return stepResult{}, op.refused(err)
				}
				if rec != nil {
					return op.replay(rec)
				}
				if wait >= 0 {
					due, backs = r.fromNow(wait), true
					continue attempts
				}
			}
			result, latency, err = op.execute(ctx)
			confirms = true
		}
		if err == nil && !op.isAborted() {
			if err = op.completed(result.payload, latency); err == nil {
				return result, nil
			}
			if err == errToldInstead {
				return stepResult{}, r.cancelReason
			}
		}
		failure, wait, final := op.failed(err, latency)
		if final {
			return stepResult{}, failure
		}
		due, backs = r.fromNow(wait), true
	}
}

// isAborted says whether its branch or run has ended, so that the outcome of its body is not recorded.
func (op *stepOperation) isAborted() bool {
	op.run.mu.Lock()
	defer op.run.mu.Unlock()
	return op.aborted != nil
}

// confirm has the start committed before the body runs. It returns a record to
// replay (the run is locked then), or how long to wait before asking again (the run
// is locked then), or -1: execute.
func (op *stepOperation) confirm() (*record, time.Duration, error) {
	r := op.run
	if op.startID == "" {
		r.mu.Lock()
		op.startID = r.nextRequestID()
		r.mu.Unlock()
	}
	op.allowed = time.Now()
	message, err := r.ask(func() proto.Message {
		request := op.startMessage()
		request.RequestId = op.startID
		return request
	}, nil)
	if err != nil {
		return nil, 0, err
	}
	if r.link.stoodStillSince(op.allowed) {
		// The answer may be out of date. The same again is answered alike, if it is not.
		return op.confirm()
	}
	response := message.(*pb.StepStartedResponse)
	r.obeyLater(response.Directive)
	if execute := response.GetExecute(); execute != nil {
		op.attempt = execute.Attempt
		return nil, -1, nil
	}
	if clash := response.GetConflict(); clash != nil {
		r.exit(&NonDeterminismError{
			StepKey: op.key, Recorded: clash.Recorded.GetName() + " with another input or definition",
			Attempted: op.name, LikelyCause: codeChanged,
		})
	}
	if stop := response.GetStop(); stop != nil {
		op.obeyStop(stop.Reason, stop.Fence)
	}
	if response.GetUnknownOutcome() != nil {
		// The platform pauses the run: a person has to say whether the step took effect.
		r.pause()
	}
	r.lockPresent()
	r.setBusy(false)
	if replay := response.GetReplay(); replay != nil {
		rec := &record{seq: cmp.Or(replay.Seq, r.queue.lastSeq), attempt: op.attempt, payload: replay.GetOutput(), failure: replay.GetFailure()}
		r.catchUp(op.operation, rec.seq)
		r.queue.pushNew(op.operation, rec.seq)
		return rec, 0, nil
	}
	if wait := response.GetWait(); wait != nil {
		pause := hotWait
		if wait.Until != nil {
			pause = r.until(wait.Until.AsTime())
		}
		return nil, max(pause, 20*time.Millisecond), nil
	}
	return nil, 0, nil
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
	op.wait(ctx, func() bool { return over || op.aborted != nil || op.ended != nil })
	timer.Stop()
	if hot {
		r.setBusy(false)
	} else {
		r.removeWait(op.key)
	}
}

func (r *run) stepSettings(options []StepOption) stepSettings {
	settings := r.def.stepDefaults
	for _, option := range options {
		option.applyStep(&settings)
	}
	return settings
}
