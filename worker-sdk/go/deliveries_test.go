package pawl

import (
	"testing"

	pb "pawl.dev/pawl/pawlv1"
)

// After a reconnection the journal is read, and the replies to what was in flight arrive when they
// arrive: what the journal has after the end of a step waits for the reply that brings that end.
func TestWhatTheJournalHasFirstIsHandedOutFirst(t *testing.T) {
	r := &run{root: &scope{}, operations: map[*operation]struct{}{}, unanswered: map[*operation]uint32{}, memo: newMemo()}
	r.queue.run = r
	step := r.begin(r.root, "a", "a", pb.StepKind_STEP_KIND_STEP)
	sleep := r.begin(r.root, "sleep:b", "b", pb.StepKind_STEP_KIND_SLEEP)
	end := &pb.JournalEntry{Seq: 9, Type: "workflow.step.completed", StepKey: "a"}
	if op := r.reportedBy(end); op != step {
		t.Fatalf("the end of the step is of %v", op)
	}
	r.unanswered[step] = end.Seq
	r.queue.push(sleep, 11)
	if sleep.delivered {
		t.Error("the sleep was handed out before the step that ended before it")
	}
	r.queue.push(step, 9)
	if !step.delivered || sleep.delivered {
		t.Errorf("the step was handed out: %v, the sleep: %v", step.delivered, sleep.delivered)
	}
	r.queue.block(r.root)
	if !sleep.delivered {
		t.Error("the sleep was not handed out")
	}
}
