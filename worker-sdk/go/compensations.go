package pawl

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// What undoes the steps of a run, should it fail or be cancelled (a saga). The
// code registers each compensation where it stands; a replay registers the same
// ones again, under the same keys.
type compensation struct {
	key  string
	call *stepCall
}

// compensationFailure is a compensation that failed for good.
type compensationFailure struct {
	name string
	err  error
}

// compensate runs what was registered, the latest first, as steps that neither the
// end of the code nor a cancel stops. It waits first for what is still under way, so
// that nothing is undone beside its being done. It is the run's own goroutine.
func (r *run) compensate(err error) []compensationFailure {
	_, isClash := find[*NonDeterminismError](err)
	_, isAmbiguous := find[*AmbiguousStepKeyError](err)
	r.mu.Lock()
	list := r.compensations
	r.compensations = nil
	// A run that stops because code and journal disagree is to continue later.
	if len(list) == 0 || r.over() || isClash || isAmbiguous {
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()
	r.settle(&Cancelled{Reason: "the workflow has ended"})
	r.beginCleanUp(list)
	s := r.root.shield("")
	s.undoing = true
	ctx, stop := r.whilePresent(context.WithoutCancel(r.ctx))
	defer stop()
	ctx = withPlace(ctx, &place{run: r, scope: s})
	var failures []compensationFailure
	for i := len(list) - 1; i >= 0; i-- {
		if _, err := r.step(ctx, s, list[i].call); err != nil {
			failures = append(failures, compensationFailure{list[i].call.name, err})
		}
	}
	return failures
}

// beginCleanUp tells the server what a cancelled run is about to undo, so that it is known should
// that not get done.
func (r *run) beginCleanUp(list []compensation) {
	var pending []string
	r.lockPresent()
	for _, each := range slices.Backward(list) {
		if rec := r.memo.records[each.key]; r.cancelReason != nil && (rec == nil || rec.failure != nil) {
			pending = append(pending, each.key)
		}
	}
	r.noteCancelled()
	r.mu.Unlock()
	if len(pending) == 0 {
		return
	}
	_, err := r.ask(func() proto.Message {
		return &pb.BeginCleanUpRequest{RunId: r.id, Fence: r.fence, Compensations: pending}
	}, nil)
	if err != nil {
		r.log.Warn("what a clean-up is to undo could not be recorded", "run", r.id, "error", err)
	}
}

// settle ends what the code has left behind, and waits until it has ended.
func (r *run) settle(why *Cancelled) {
	r.lockPresent()
	r.cancel(why)
	r.endScope(r.root, why)
	r.awaitIdle(r.hasCalls)
	r.mu.Unlock()
}

// awaitClosed waits until the server knows of all waits that were lost.
func (r *run) awaitClosed() {
	r.lockPresent()
	r.awaitIdle(r.isClosing)
	r.mu.Unlock()
}

// awaitIdle blocks while the run is occupied. Locked before and after.
func (r *run) awaitIdle(occupied func() bool) {
	if !occupied() {
		return
	}
	idle := make(chan struct{})
	r.idle, r.occupied = idle, occupied
	r.queue.block(r.root)
	r.mu.Unlock()
	select {
	case <-idle:
	case <-r.gone:
		runtime.Goexit()
	}
	r.lockPresent()
	r.queue.unblock(r.root)
}

// hasCalls says whether a call of the code has not ended. Scopes wait for nothing themselves. The run is locked.
func (r *run) hasCalls() bool {
	for op := range r.operations {
		if op.isStep() || op.isWait() {
			return true
		}
	}
	return r.closings > 0
}

// hasSteps says whether a step of the code is under way that continues. Nobody will take what a wait brings.
func (r *run) hasSteps() bool {
	for op := range r.operations {
		if op.isStep() && op.aborted == nil {
			return true
		}
	}
	return r.isClosing()
}

// isClosing says whether the server does not yet know of all waits that were lost. The run is locked.
func (r *run) isClosing() bool {
	for op := range r.operations {
		if op.isWait() && !op.isGivenUp && op.aborted != nil && op.scope.endedBy() != nil {
			return true
		}
	}
	return r.closings > 0
}

// checkIdle tells the waiting code that the run is occupied no more. The run is locked.
func (r *run) checkIdle() {
	if r.idle == nil || r.occupied() {
		return
	}
	close(r.idle)
	r.idle = nil
}

func tellFailures(failure *pb.Failure, failures []compensationFailure) {
	if len(failures) == 0 {
		return
	}
	what := "its compensation"
	if len(failures) > 1 {
		what = fmt.Sprintf("%d compensations", len(failures))
	}
	told := make([]string, len(failures))
	for i, each := range failures {
		told[i] = fmt.Sprintf("%q: %s", each.name, each.err)
	}
	failure.Message = clip(fmt.Sprintf("%s; %s failed: %s", failure.Message, what, strings.Join(told, "; ")), messageBytesMax)
}
