// Section O of docs/replay-machine.md.

package pawl

import (
	"context"
	"runtime"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// operation is a call of user code that is under way: a step, a sleep, a signal,
// a child. Its goroutine blocks in `wait`; others change its state, under the
// run's mutex, and signal it.
type operation struct {
	run   *run
	scope *scope
	key   string
	name  string
	kind  pb.StepKind
	wake  chan struct{}

	// Its result may be handed to user code, see deliveries.go.
	delivered bool
	queued    bool
	parked    bool
	// It is in the journal: it is handed out whatever happens around it.
	recorded bool
	// A wait was resolved.
	resolution *record
	// The server has the wait on record.
	isRegistered bool
	// What the server calls it, once it is registered.
	waitID string
	// It is a wait of which the server knows, or is being told, that it was lost.
	isGivenUp bool
	// The body of a step is running that may be executed again.
	isRepeatable bool
	// The platform may know more about a wait by now.
	asking bool
	// Why it is to stop, once it is.
	aborted *Cancelled
	// User code's own context is done: not the run's, a branch's or a step's.
	ended error
}

func (op *operation) isStep() bool {
	return op.kind == pb.StepKind_STEP_KIND_STEP || op.kind == pb.StepKind_STEP_KIND_VALUE
}

// isWait says whether it is a wait that the server resolves. A scope is neither a wait nor a step.
func (op *operation) isWait() bool {
	return op.kind != pb.StepKind_STEP_KIND_UNSPECIFIED && !op.isStep()
}

func (op *operation) signal() {
	select {
	case op.wake <- struct{}{}:
	default:
	}
}

// open makes an operation of a call: claims its key and registers it.
func (r *run) open(s *scope, space, name, key string, kind pb.StepKind) (*operation, error) {
	claimed, err := r.claim(s, space, name, key)
	if err != nil {
		return nil, err
	}
	return r.begin(s, claimed, name, kind), nil
}

// claim is the key of a call. The run is locked when it returns one.
func (r *run) claim(s *scope, space, name, key string) (string, error) {
	r.lockPresent()
	segment, err := s.claim(space, name, key)
	if err != nil {
		r.mu.Unlock()
		if _, ambiguous := err.(*AmbiguousStepKeyError); ambiguous {
			// Nothing that user code catches may hide it: on another day it would pass.
			r.end(err)
			runtime.Goexit()
		}
		return "", err
	}
	return s.prefix + segment, nil
}

// begin registers a call. The run is locked.
func (r *run) begin(s *scope, key, name string, kind pb.StepKind) *operation {
	op := &operation{run: r, scope: s, key: key, name: name, kind: kind, wake: make(chan struct{}, 1)}
	s.occupy(key, 1)
	r.operations[op] = struct{}{}
	return op
}

// close ends an operation whose result is about to be returned. The run is locked.
func (op *operation) close() {
	op.scope.occupy(op.key, -1)
	delete(op.run.operations, op)
	delete(op.run.unanswered, op)
	op.run.checkIdle()
}

// wait blocks until ready, with the run locked before, after, and while ready is
// asked. It does not return once the run has left: the goroutine ends.
func (op *operation) wait(ctx context.Context, ready func() bool) {
	r := op.run
	done := ctx.Done()
	for {
		if r.over() {
			r.mu.Unlock()
			<-r.gone
			runtime.Goexit()
		}
		// Cleaning up continues under a context that is cancelled already.
		if r.cancelDelivered {
			done = nil
		}
		if ready() {
			return
		}
		r.mu.Unlock()
		select {
		case <-op.wake:
			r.mu.Lock()
		case <-r.gone:
			runtime.Goexit()
		case <-done:
			done = nil
			r.mu.Lock()
			if r.cancelDelivered {
				continue
			}
			if op.ended = endedByUser(ctx); op.ended == nil {
				op.abort(cancelledBy(ctx))
			}
		}
	}
}

// awaitDelivery blocks until the result may be handed out.
func (op *operation) awaitDelivery() {
	// What is recorded is handed out whatever becomes of the context.
	op.wait(context.Background(), func() bool { return op.delivered })
}

// abort stops what can be stopped, because its branch or run ends. The run is locked.
func (op *operation) abort(why *Cancelled) {
	if op.aborted == nil {
		op.aborted = why
		op.signal()
	}
}

// cancelled hands user code the news that the branch or run has ended. The run is locked.
func (op *operation) cancelled() error {
	op.run.queue.pushNext(op)
	op.awaitDelivery()
	op.run.noteCancelled()
	op.close()
	return op.aborted
}

// isCancelPending says whether the run is being cancelled and its code has not been told, which can be done here.
func (r *run) isCancelPending(op *operation) bool {
	return r.cancelReason != nil && !r.cancelDelivered && !op.scope.isShielded()
}

// noteCancelled notes that user code is told that it has ended. What it starts from now on is the clean-up, if
// the run is being cancelled. The run is locked.
func (r *run) noteCancelled() { r.cancelDelivered = r.cancelReason != nil }

// cancelledBy says why a context is done.
func cancelledBy(ctx context.Context) *Cancelled {
	cause := context.Cause(ctx)
	if known, ok := cause.(*Cancelled); ok {
		return known
	}
	return &Cancelled{Reason: cause.Error()}
}

// endedByUser says why a context is done that user code ended; nil where it has not, be it that
// the context is not done, or that the run, a branch or a step's timeout has ended it.
func endedByUser(ctx context.Context) error {
	switch cause := context.Cause(ctx).(type) {
	case nil, *Cancelled, *StepTimeoutError:
		return nil
	default:
		if cause == errLeft {
			return nil
		}
		return cause
	}
}

// ownDeadline is when a context ends that user code gave a deadline; false where it has none
// besides that of a step's Timeout.
func ownDeadline(ctx context.Context) (time.Time, bool) {
	deadline, has := ctx.Deadline()
	if p, _ := placeOf(ctx); has && p.body != nil && !p.body.deadline.IsZero() && !deadline.Before(p.body.deadline) {
		return deadline, false
	}
	return deadline, has
}

// refused hands user code what the platform refused.
func (op *operation) refused(err error) error {
	r := op.run
	r.lockPresent()
	if r.replaysAlways {
		r.refused[op.key] = true
	}
	r.queue.pushNext(op)
	op.awaitDelivery()
	op.close()
	r.setBusy(false)
	r.mu.Unlock()
	return err
}

// admit blocks until the operation may begin; false if it is aborted instead. The run is locked.
func (op *operation) admit(ctx context.Context) bool {
	r := op.run
	op.wait(ctx, func() bool {
		if op.aborted == nil {
			op.aborted = op.scope.endedBy()
		}
		if op.aborted == nil && (r.isCancelPending(op) || r.undoesOnly && !op.scope.isUndoing()) {
			op.aborted = r.cancelReason
		}
		if op.aborted != nil {
			return true
		}
		// A pause lets what is in flight finish, and what that asks for inside.
		if !op.parked && r.state == stateRunning && (!r.paused || op.scope.insideStep) && r.link.canStart() {
			return true
		}
		r.checkQuiet()
		return false
	})
	r.activity++
	if op.aborted == nil {
		r.checkReplay(op)
	}
	return op.aborted == nil
}

// conflict says how a record differs from what the code asks for, if it does.
func (op *operation) conflict(rec *record, inputDigest, definitionDigest string) *NonDeterminismError {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if rec.kind == op.kind && !differ(rec.inputDigest, inputDigest) && !differ(rec.definitionDigest, definitionDigest) {
		return nil
	}
	cause := codeChanged
	if rec.kind == op.kind && differ(rec.inputDigest, inputDigest) {
		cause = "the step's input is computed from something that is not recorded (time, random numbers, outside state), or the code was changed"
	}
	return &NonDeterminismError{
		StepKey:     op.key,
		Recorded:    describeSide(rec.kind, rec.inputDigest, rec.definitionDigest),
		Attempted:   describeSide(op.kind, inputDigest, definitionDigest),
		LikelyCause: cause,
	}
}

func describeSide(kind pb.StepKind, inputDigest, definitionDigest string) string {
	text := kindNames[kind]
	if inputDigest != "" {
		text += ", input " + clip(inputDigest, 12)
	}
	if definitionDigest != "" {
		text += ", definition " + clip(definitionDigest, 12)
	}
	return text
}

var kindNames = map[pb.StepKind]string{
	pb.StepKind_STEP_KIND_STEP:     "step",
	pb.StepKind_STEP_KIND_SLEEP:    "sleep",
	pb.StepKind_STEP_KIND_SIGNAL:   "signal",
	pb.StepKind_STEP_KIND_USER:     "user",
	pb.StepKind_STEP_KIND_CHILD:    "child",
	pb.StepKind_STEP_KIND_VALUE:    "value",
	pb.StepKind_STEP_KIND_CALLBACK: "callback",
}

// exit ends the run with an error that user code must not see, and this goroutine.
func (r *run) exit(err error) {
	r.end(err)
	runtime.Goexit()
}
