// Section W of docs/replay-machine.md.

package pawl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A wait that the server keeps: a sleep, a signal, a child run. It is registered
// by its StepStarted; what resolves it is pushed while the run is held here, asked
// for where nothing is pushed, and else found in the journal after the run was
// suspended and dispatched again.

type waitCall struct {
	space string
	name  string
	key   string
	kind  pb.StepKind
	spec  *pb.WaitSpec
	// Makes the request that starts the child run to wait for.
	child func(stepKey string) (*pb.StartRunRequest, error)
	// The child's workflow; nil where it is known by its name only.
	definition *definition
	// The child's run id is user code's: another run with this id has not been started from here.
	namesChild bool
}

// resolution is how a wait ended.
type resolution struct {
	stepKey string
	outcome string
	payload *pb.Payload
	details map[string]string
}

// await waits for the server. The error is a StepFailedError, a Cancelled, or what
// the server refused.
func (r *run) await(ctx context.Context, s *scope, call *waitCall) (*resolution, error) {
	if err := checkName("a wait", call.name); err != nil {
		return nil, err
	}
	if err := call.limitBy(ctx); err != nil {
		return nil, err
	}
	key, err := r.claim(s, call.space, call.name, call.key)
	if err != nil {
		return nil, err
	}
	return r.awaitAt(ctx, s, key, call)
}

// limitBy has the server keep the deadline of a context: this worker does not hold the run while
// it waits, and another time's clock would end the wait in another place.
func (call *waitCall) limitBy(ctx context.Context) error {
	deadline, has := ownDeadline(ctx)
	if !has {
		return nil
	}
	if call.kind != pb.StepKind_STEP_KIND_SIGNAL && call.kind != pb.StepKind_STEP_KIND_USER {
		return usage("the wait %q got a context with a deadline, which the server cannot keep for it; wait in a Race with a Sleep, or hand on a context without a deadline", call.name)
	}
	rest := min(max(0, time.Until(deadline)), durationMax)
	if call.spec.Duration == nil || rest < call.spec.Duration.AsDuration() {
		call.spec = proto.Clone(call.spec).(*pb.WaitSpec)
		call.spec.Duration = durationpb.New(rest)
	}
	return nil
}

// awaitAt waits under a key that is claimed. Locked before, unlocked after.
func (r *run) awaitAt(ctx context.Context, s *scope, key string, call *waitCall) (*resolution, error) {
	op := r.begin(s, key, call.name, call.kind)
	if rec := r.memo.take(op.key); rec != nil {
		if clash := op.conflict(rec, "", ""); clash != nil {
			r.mu.Unlock()
			r.exit(clash)
		}
		op.resolution = rec
		op.recorded = true
		r.queue.add(op, rec.seq, true)
		r.queue.block(s)
		return op.resolved()
	}
	r.queue.park(op)
	r.queue.block(s)
	return op.register(ctx, call)
}

// resolved hands out the resolution once it is its turn. Locked before, unlocked after.
func (op *operation) resolved() (*resolution, error) {
	r := op.run
	inJournal := op.recorded
	op.recorded = true
	op.awaitDelivery()
	if lost := op.scope.endedBy() != nil; lost || !inJournal && r.isCancelPending(op) {
		// It came for code that has ended: what a signal brought goes back to the inbox.
		aborted := op.aborted
		if aborted == nil {
			aborted = op.scope.endedBy()
		}
		if aborted == nil {
			aborted = r.cancelReason
		}
		delete(r.memo.records, op.key)
		r.noteCancelled()
		if lost {
			r.closeWait(op.key)
		}
		op.close()
		r.mu.Unlock()
		return nil, aborted
	}
	op.close()
	r.memo.take(op.key)
	aborted := op.aborted
	r.mu.Unlock()
	rec := op.resolution
	if rec.failure != nil {
		return nil, &StepFailedError{Failure: failureOf(rec.failure), StepKey: op.key, Attempts: max(1, int(rec.attempt))}
	}
	if rec.outcome == "cancelled" && aborted != nil {
		// It was cancelled since its branch had ended, and that is what user code was told.
		return nil, aborted
	}
	if rec.outcome == "cancelled" {
		return nil, &WaitCancelledError{Wait: op.name, StepKey: op.key, Actor: rec.details["actor"], Comment: rec.details["comment"]}
	}
	payload, err := r.fetch(rec.payload)
	if err != nil {
		r.exit(err)
	}
	return &resolution{stepKey: op.key, outcome: rec.outcome, payload: payload, details: rec.details}, nil
}

// register asks for the wait, as often as it takes, until it is resolved.
func (op *operation) register(ctx context.Context, call *waitCall) (*resolution, error) {
	r := op.run
	childRunID := ""
	withdrawn := false
	for {
		if op.resolution != nil {
			return op.resolved()
		}
		if op.aborted != nil || !op.admit(ctx) {
			return nil, op.giveUp()
		}
		r.setBusy(true)
		requestID := r.nextRequestID()
		r.mu.Unlock()
		if call.child != nil && childRunID == "" {
			id, err := op.startChild(ctx, call)
			if err != nil {
				return nil, op.refused(err)
			}
			childRunID = id
		}
		message, err := r.ask(func() proto.Message {
			spec := proto.Clone(call.spec).(*pb.WaitSpec)
			spec.ChildRunId = orElse(childRunID, spec.ChildRunId)
			return &pb.StepStartedRequest{
				RunId: r.id, Fence: r.fence, StepKey: op.key, Name: op.name, Kind: op.kind, RequestId: requestID, Wait: spec,
			}
		}, func(message proto.Message) { op.registered(message.(*pb.StepStartedResponse)) })
		if err != nil {
			return nil, op.refused(err)
		}
		op.await(ctx, message.(*pb.StepStartedResponse), withdrawn)
		if op.isWithdrawn(ctx) && op.isRegistered && !withdrawn && op.resolution == nil && op.aborted == nil {
			// The server decides whether this or what the wait is for came first, and that is on record.
			withdrawn = true
			r.mu.Unlock()
			r.cancelThere(op.key, op.waitID, contextMark+textOf(op.ended))
			r.lockPresent()
		}
	}
}

// isWithdrawn says whether user code cancelled the context of the wait. Its deadline is the server's to keep.
func (op *operation) isWithdrawn(ctx context.Context) bool {
	return op.ended != nil && ctx.Err() == context.Canceled
}

// registered notes what the start of the wait was answered, before anything later is heard.
func (op *operation) registered(response *pb.StepStartedResponse) {
	r := op.run
	r.mu.Lock()
	defer r.mu.Unlock()
	op.asking = false
	if op.resolution == nil {
		if replay := response.GetReplay(); replay != nil {
			op.resolution = &record{
				seq: cmp.Or(replay.Seq, r.queue.lastSeq), kind: op.kind, attempt: r.memo.attempts[op.key],
				payload: replay.GetOutput(), failure: replay.GetFailure(), outcome: outcomeWord(replay.Outcome), details: replay.Details,
			}
			r.catchUp(op, op.resolution.seq)
			r.queue.pushNew(op, op.resolution.seq)
		} else if wait := response.GetWait(); wait != nil {
			due := time.Time{}
			if wait.Until != nil {
				due = wait.Until.AsTime()
			}
			op.isRegistered, op.waitID = true, wait.WaitId
			r.addWait(op.key, due)
		}
	}
	r.setBusy(false)
}

// await waits until it is resolved, is ended, or has to be asked for again. The
// run is locked when it returns.
func (op *operation) await(ctx context.Context, response *pb.StepStartedResponse, withdrawn bool) {
	r := op.run
	if response.GetConflict() != nil {
		r.exit(&NonDeterminismError{
			StepKey: op.key, Recorded: response.GetConflict().Recorded.GetName(), Attempted: op.name, LikelyCause: codeChanged,
		})
	}
	if stop := response.GetStop(); stop != nil {
		op.obeyStop(stop.Reason, stop.Fence)
	}
	r.obeyLater(response.Directive)
	r.lockPresent()
	if response.GetWait() == nil {
		return
	}
	if !r.link.pushesWaits() {
		pause := hotWait
		if wait := response.GetWait(); wait.Until != nil {
			pause = min(max(r.until(wait.Until.AsTime())+5*time.Millisecond, 10*time.Millisecond), hotWait)
		}
		timer := time.AfterFunc(pause, func() {
			r.mu.Lock()
			op.asking = true
			op.signal()
			r.mu.Unlock()
		})
		defer timer.Stop()
	}
	op.wait(ctx, func() bool {
		return op.resolution != nil || op.aborted != nil || op.asking || !withdrawn && op.isWithdrawn(ctx)
	})
	r.removeWait(op.key)
}

// giveUp returns the news that the branch or run has ended. Locked before, unlocked after.
func (op *operation) giveUp() error {
	r := op.run
	_, isOpen := r.memo.openWaits[op.key]
	_, hasChild := r.memo.closedChildren[op.key]
	isOpen = isOpen || hasChild || op.isRegistered
	// Where no branch has ended the run has, and all of its waits.
	if isOpen && op.scope.endedBy() != nil {
		delete(r.memo.openWaits, op.key)
		delete(r.memo.closedChildren, op.key)
		r.closeWait(op.key)
	}
	op.isGivenUp = true
	err := op.cancelled()
	r.mu.Unlock()
	return err
}

// closeWait tells the server that nobody will take what the wait brings. The run is locked.
func (r *run) closeWait(key string) {
	if r.over() {
		return
	}
	r.closings++
	r.setBusy(true)
	go func() {
		_, err := r.ask(func() proto.Message {
			return &pb.CloseWaitsRequest{RunId: r.id, Fence: r.fence, StepKeys: []string{key}}
		}, nil)
		if err != nil {
			r.log.Warn("a wait that nobody waits for stays open", "run", r.id, "step", key, "error", err)
		}
		r.mu.Lock()
		r.closings--
		r.setBusy(false)
		r.checkIdle()
		r.mu.Unlock()
	}()
}

// cancelThere cancels a wait on the server: its context was cancelled here.
func (r *run) cancelThere(key, waitID, reason string) {
	r.mu.Lock()
	r.setBusy(true)
	r.mu.Unlock()
	_, err := r.persist(func() (proto.Message, error) {
		return nil, r.link.cancelWait(r.present, &pb.CancelWaitRequest{WaitId: waitID, Comment: reason})
	})
	var refusal *RequestError
	if err != nil && !(errors.As(err, &refusal) && refusal.Reason == "WAIT_ALREADY_RESOLVED") {
		r.log.Warn("a wait that nobody waits for stays open", "run", r.id, "step", key, "error", err)
	}
	r.mu.Lock()
	r.setBusy(false)
	r.mu.Unlock()
}

// startChild starts the run to wait for; the same id finds it if it is there.
func (op *operation) startChild(ctx context.Context, call *waitCall) (string, error) {
	r := op.run
	if ended := endedByUser(ctx); ended != nil && !r.isCleaningUp() {
		return "", fmt.Errorf("the context of child %q is done: %w", call.name, ended)
	}
	request, err := call.child(op.key)
	if err != nil {
		return "", err
	}
	if request.Input, err = r.store(request.Input, fmt.Sprintf("the input of child %q", call.name)); err != nil {
		return "", err
	}
	request.Parent = &pb.ParentRef{RunId: r.id, StepKey: op.key}
	message, err := r.persist(func() (proto.Message, error) {
		r.mu.Lock()
		request.ParentFence = r.fence
		r.mu.Unlock()
		return r.link.startRun(r.present, request, call.definition)
	})
	var refusal *RequestError
	if errors.As(err, &refusal) && refusal.Reason == RunExists && !call.namesChild {
		r.exit(&NonDeterminismError{
			StepKey: op.key, Recorded: "the child run " + request.RunId, Attempted: "a child run with another input or workflow",
			LikelyCause: "the child's input is computed from something that is not recorded",
		})
	}
	if err != nil {
		return "", err
	}
	return message.(*pb.StartRunResponse).GetRun().GetRunId(), nil
}
