package pawl

import (
	"maps"
	"os"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// A worker in the mode "replay always" gives up an execution after each entry that it has
// recorded, and executes the run anew from its journal: code that is not deterministic is found
// on its first day instead of after the first crash.

var replayAlways = os.Getenv("PAWL_REPLAY_ALWAYS") == "1"

// checkRestart executes the run anew where something was recorded that its code has not been given
// yet. What is under way beside that ends first. The run is locked.
func (r *run) checkRestart() {
	if !r.replaysAlways || r.state != stateRunning || r.busy > 0 || len(r.queue.news) == 0 {
		return
	}
	r.expected = r.queue.news[0]
	r.state = stateLeft
	r.stopTimers()
	r.isRestarted = true
	go func() {
		r.dismiss()
		r.cancel(errLeft)
		r.link.restart(r)
	}()
}

// checkReplay pauses the run if its code continues to something new, but has not asked for what it was executed anew
// for: then it is not the code that asked for it. Goroutines of user code may need a moment. Locked before and after.
func (r *run) checkReplay(op *operation) {
	if _, isOpen := r.memo.openWaits[op.key]; isOpen || r.memo.attempts[op.key] > 0 || r.refused[op.key] {
		return // it was asked for before
	}
	for end := time.Now().Add(turnMax); r.expected != ""; r.lockPresent() {
		if _, asked := r.memo.asked[r.expected]; asked {
			r.expected = ""
			return
		}
		r.mu.Unlock()
		if time.Now().After(end) {
			r.exit(&NonDeterminismError{
				StepKey: r.expected, Recorded: "a step that has just ended", Attempted: "the code continued to " + op.key + " without it",
				LikelyCause: "the step is asked for because of something that is not recorded (time, random numbers, outside state)",
			})
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// again is the work item of a run that is executed anew.
func (r *run) again() *pb.WorkItem {
	r.mu.Lock()
	defer r.mu.Unlock()
	item := proto.Clone(r.item).(*pb.WorkItem)
	item.Journal, item.JournalMore, item.Careful = nil, true, false
	item.Lease.Fence = r.fence
	item.Cancelling = item.Cancelling || r.cancelReason != nil
	return item
}

// follow takes on what an execution before this one counted.
func (r *run) follow(before *run) {
	if before != nil {
		r.requests, r.clockAhead, r.expected, r.paused = before.requests, before.clockAhead, before.expected, before.paused
		r.refused = maps.Clone(before.refused)
		before.link.inherit(before, r)
	}
}
