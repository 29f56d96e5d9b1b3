// Section E of docs/replay-machine.md.

package pawl

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// How a run ends in this worker.

// complete reports the result that the workflow returned.
func (r *run) complete(output *pb.Payload) error {
	payload, err := r.store(output, fmt.Sprintf("the result of workflow %q", r.def.name))
	if err != nil {
		return err
	}
	r.finish()
	r.lockPresent()
	r.state = stateEnding
	keys := r.memo.unconsumed()
	r.mu.Unlock()
	_, err = r.ask(func() proto.Message {
		if r.cancelReason != nil {
			// The cancel came first: the run is not complete.
			return nil
		}
		return &pb.CompleteRunRequest{RunId: r.id, Fence: r.fence, Output: payload, UnconsumedStepKeys: keys}
	}, nil)
	if err != nil {
		r.mu.Lock()
		r.state = stateRunning
		r.mu.Unlock()
		return err
	}
	r.leave("completed")
	return nil
}

// finish waits for the steps that the code has left behind in goroutines of its own: they have
// started, and their effects are to be on record.
func (r *run) finish() {
	r.lockPresent()
	defer r.mu.Unlock()
	for r.cancelReason == nil && r.hasSteps() {
		r.awaitIdle(r.hasSteps)
	}
}

// end ends the run with an error: failed, cancelled, or paused where code and journal disagree.
// `failures`: compensations that failed on top of it.
func (r *run) end(err error, failures ...compensationFailure) {
	r.mu.Lock()
	if r.over() {
		r.mu.Unlock()
		return
	}
	r.state = stateEnding
	request := r.failureReport(err, failures)
	r.mu.Unlock()
	send := func() error {
		_, refusal := r.ask(func() proto.Message {
			request.Fence = r.fence
			return proto.Clone(request)
		}, nil)
		return refusal
	}
	refusal := send()
	if refusal != nil {
		// A short failure is better than a run that is retried forever.
		request.Failure = bareFailure(request.Failure, refusal)
		request.FailedStepKeys = nil
		refusal = send()
	}
	if refusal != nil {
		r.log.Error("the platform refused the report of a failed run", "run", r.id, "refusal", refusal)
		r.mu.Lock()
		r.gaveUp = true
		r.mu.Unlock()
	}
	r.leave("failed")
}

func (r *run) failureReport(err error, failures []compensationFailure) *pb.FailRunRequest {
	var keys []string
	for _, failure := range failures {
		keys = append(keys, r.failedKeys(failure.err)...)
	}
	keys = append(keys, r.failedKeys(err)...)
	if r.cancelReason != nil {
		err = r.cancelReason
	}
	request := &pb.FailRunRequest{RunId: r.id, Failure: toFailure(err), FailedStepKeys: keys[:min(len(keys), reportedKeysMax)]}
	tellFailures(request.Failure, failures)
	if clash, is := find[*NonDeterminismError](err); is {
		request.NonDeterminism = &pb.NonDeterminism{
			StepKey: clash.StepKey, Recorded: clash.Recorded, Attempted: clash.Attempted, LikelyCause: clash.LikelyCause,
		}
	}
	return request
}

// failedKeys are those of the failed steps that an error came through, innermost first.
func (r *run) failedKeys(err error) []string {
	failed, is := find[*StepFailedError](err)
	if !is {
		return nil
	}
	return append(r.memo.failedWithin(failed.StepKey), failed.StepKey)
}

func (r *run) stopTimers() {
	if r.linger != nil {
		r.linger.Stop()
	}
	if r.queue.breaker != nil {
		r.queue.breaker.Stop()
	}
}

// watchLeftover says so where the code of a run that has left is not over soon: what waits for
// something of its own, such as a channel, stays in memory for ever.
func watchLeftover(isPerforming *atomic.Bool, log *slog.Logger) {
	time.AfterFunc(leftoverAfter, func() {
		if isPerforming.Load() {
			log.Warn("a run has left this worker, but its code still waits for something of its own, such as a channel, and stays in memory; have it wait for its context, too")
		}
	})
}

// leave ends the execution of a run that is no longer this worker's.
func (r *run) leave(why string) {
	r.mu.Lock()
	if r.state == stateLeft {
		r.mu.Unlock()
		return
	}
	isEnding := r.state == stateEnding
	r.state = stateLeft
	r.stopTimers()
	r.mu.Unlock()
	r.dismiss()
	if !isEnding {
		watchLeftover(r.isPerforming, r.log.With("run", r.id, "workflow", r.def.name))
	}
	r.log.Debug("a run left this worker", "run", r.id, "why", why)
	r.cancel(errLeft)
	r.link.released(r)
}
