package pawl

import (
	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// Ends of waits that this worker has not been told of: nothing is pushed to one that polls, and
// nothing while a connection is away. What is recorded after such an end is not to reach the code
// before it, for a replay hands both out in the order of the journal. So nothing is handed out
// until the journal has been read.

// missing is a reading of the journal.
type missing struct {
	// The entries after this one are not known.
	afterSeq uint32
	// What has arrived by itself meanwhile.
	pushed map[uint32]struct{}
	// It is to be read once more.
	again bool
}

// catchUp is called before a result that a reply names is put into the queue. Where no wait is open
// besides that of the operation, there is nothing to be missed. The run is locked.
func (r *run) catchUp(op *operation, seq uint32) {
	if !r.link.pushesWaits() && seq > r.memo.lastSeq+1 {
		r.readMissed(r.memo.lastSeq, op)
	}
}

// readMissed reads the journal if waits are open besides that of the operation. The run is locked.
func (r *run) readMissed(afterSeq uint32, besides *operation) {
	if r.over() || !r.hasOpenWaits(besides) {
		return
	}
	if r.missing != nil {
		r.missing.again = true
		return
	}
	r.missing = &missing{afterSeq: afterSeq, pushed: map[uint32]struct{}{}}
	go func() {
		for r.readOnce() {
		}
	}()
}

// readOnce says whether the journal is to be read once more.
func (r *run) readOnce() bool {
	r.mu.Lock()
	m := r.missing
	m.again = false
	r.mu.Unlock()
	var entries []*pb.JournalEntry
	_, err := r.persist(func() (proto.Message, error) {
		entries = nil
		return nil, r.link.journal(r.present, r.id, m.afterSeq, func(page []*pb.JournalEntry) { entries = append(entries, page...) })
	})
	if err != nil {
		r.log.Warn("a run's journal could not be read; results may come in another order than in a replay", "run", r.id, "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == stateLeft {
		return false
	}
	for _, entry := range entries {
		m.afterSeq = entry.Seq
		if op := r.reportedBy(entry); op != nil {
			r.unanswered[op] = entry.Seq
		}
		if _, known := m.pushed[entry.Seq]; !known && entry.Type == "workflow.wait.resolved" {
			r.resolve(entry)
		}
	}
	r.memo.lastSeq = max(r.memo.lastSeq, m.afterSeq)
	if m.again {
		return true
	}
	r.missing = nil
	r.queue.pump()
	r.checkQuiet()
	return false
}

// reportedBy is the step whose end the entry is, if the reply that hands it out is still to come. The run
// is locked.
func (r *run) reportedBy(entry *pb.JournalEntry) *operation {
	if entry.Type != "workflow.step.completed" && entry.Type != "workflow.step.failed" {
		return nil
	}
	for op := range r.operations {
		if op.isStep() && !op.queued && op.key == entry.StepKey {
			return op
		}
	}
	return nil
}

// isAhead says whether something that is on record before is still to be handed out by a reply. The run is
// locked.
func (r *run) isAhead(seq uint32) bool {
	for _, before := range r.unanswered {
		if before < seq {
			return true
		}
	}
	return false
}

// hasOpenWaits says whether the code waits, besides in one operation, for what the server resolves, or is going
// to ask for what a callback brings.
func (r *run) hasOpenWaits(besides *operation) bool {
	for op := range r.operations {
		if op != besides && op.isWait() && op.resolution == nil {
			return true
		}
	}
	return len(r.callbacks) > 0
}
