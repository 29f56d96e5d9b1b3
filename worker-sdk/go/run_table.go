// Section H of docs/replay-machine.md.

package pawl

import (
	"context"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

var drainingFrame = &pb.WorkerFrame{Body: &pb.WorkerFrame_Draining{Draining: &pb.Draining{}}}

// push sends a frame that wants no reply, if the connection is open.
func (s *connection) push(frame *pb.WorkerFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOpen.Load() {
		s.outbox.push(frame, frameBytes)
	}
}

// grant upholds S4. The connection is locked.
func (s *connection) grant() {
	count := s.slots - len(s.held) - s.credits
	if count <= 0 || s.draining || !s.isOpen.Load() {
		return
	}
	s.credits += count
	s.outbox.push(&pb.WorkerFrame{Body: &pb.WorkerFrame_Credits{Credits: &pb.Credits{Count: uint32(count)}}}, frameBytes)
}

// dispatch takes a run on.
func (s *connection) dispatch(item *pb.WorkItem) {
	id := item.GetLease().GetRunId()
	// It comes back to where it was lost: what is left of it here is no longer valid.
	s.drop(id, "the run was dispatched again")
	s.mu.Lock()
	s.credits = max(0, s.credits-1)
	def := s.definitions[item.Workflow]
	if def == nil || s.draining {
		reason := "this worker is draining"
		if def == nil {
			reason = "this worker does not serve " + item.Workflow
		}
		s.outbox.push(nack(item.Lease, reason), frameBytes)
		s.grant()
		s.mu.Unlock()
		return
	}
	h := &held{item: item}
	s.held[id] = h
	ack := &pb.WorkerFrame{Body: &pb.WorkerFrame_DispatchAck{DispatchAck: &pb.DispatchAck{RunId: id, Fence: item.Lease.Fence}}}
	// It is on the stream before user code starts, which may keep this process busy.
	s.outbox.pushThen(ack, frameBytes, func() { s.begin(h, def) })
	s.mu.Unlock()
}

// begin reads what is left of a run's journal, then executes it.
func (s *connection) begin(h *held, def *definition) {
	item := h.item
	id := item.Lease.RunId
	m := newMemo()
	m.add(item.Journal...)
	if item.JournalMore {
		err := s.platform.journal(context.Background(), id, m.lastSeq, func(entries []*pb.JournalEntry) { m.add(entries...) })
		if err != nil {
			s.log.Error("a run's journal could not be read; the run is given up", "run", id, "error", err)
			s.remove(h)
			s.giveBack(item.Lease)
			return
		}
	}
	r := newRun(def, item, m, s, s.log)
	r.follow(h.before)
	s.launch(h, r)
}

func (s *connection) restart(r *run) {
	s.mu.Lock()
	h := s.held[r.id]
	isHeld := h.execution() == r
	if isHeld {
		// What is said about it until it has started anew waits.
		h.item, h.run, h.before = r.again(), nil, r
	}
	s.mu.Unlock()
	if isHeld {
		s.begin(h, r.def)
	}
}

func (s *connection) inherit(before, r *run) { s.deltas.inherit(before, r) }

// launch starts to execute a run, unless it was taken back while its journal was read.
func (s *connection) launch(h *held, r *run) {
	s.mu.Lock()
	id := r.id
	current := s.held[id] == h
	if current {
		h.run = r
	}
	news := h.news
	h.news = nil
	s.mu.Unlock()
	if !current {
		r.leave("the run was taken back while its journal was read")
		return
	}
	for _, tell := range news {
		tell(r)
	}
	r.perform()
}

func nack(lease *pb.Lease, reason string) *pb.WorkerFrame {
	return &pb.WorkerFrame{Body: &pb.WorkerFrame_Nack{Nack: &pb.Nack{RunId: lease.GetRunId(), Fence: lease.GetFence(), Reason: reason}}}
}

// giveBack gives an abandoned run to another worker, or gets it back, after a delay, to avoid a hot loop.
func (s *connection) giveBack(lease *pb.Lease) {
	time.AfterFunc(giveBackAfter, func() { s.push(nack(lease, "this worker could not continue with it")) })
}

// tell says something to a run, now or once it has started.
func (s *connection) tell(id string, say func(*run)) {
	s.mu.Lock()
	h := s.held[id]
	if h != nil && h.run == nil {
		h.news = append(h.news, say)
	}
	r := h.execution()
	s.mu.Unlock()
	if r != nil {
		say(r)
	}
}

// execution is the run, once it has started. The connection is locked.
func (h *held) execution() *run {
	if h == nil {
		return nil
	}
	return h.run
}

// drop ends the execution of a run that is no longer this worker's.
func (s *connection) drop(id string, why string) {
	s.mu.Lock()
	h := s.held[id]
	r := h.execution()
	s.mu.Unlock()
	if r != nil {
		r.leave(why)
	} else if h != nil {
		s.remove(h)
	}
}

// released frees the slot of a run that has left by itself.
func (s *connection) released(r *run) {
	s.mu.Lock()
	h := s.held[r.id]
	isHeld := h.execution() == r
	for id, c := range s.calls {
		if c.run == r {
			delete(s.calls, id)
		}
	}
	s.answeredOne()
	s.mu.Unlock()
	s.deltas.forget(r)
	if !isHeld {
		return
	}
	if r.gaveUp {
		s.giveBack(&pb.Lease{RunId: r.id, Fence: r.fence})
	}
	s.remove(h)
}

func (s *connection) remove(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := h.item.Lease.RunId
	if s.held[id] == h {
		delete(s.held, id)
		s.grant()
	}
}

// drain tells the server to send no more dispatches.
func (s *connection) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.isOpen.Load() {
		s.outbox.push(drainingFrame, frameBytes)
	}
}

func (s *connection) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// leaseResult is what a heartbeat was answered.
func (r *run) leaseResult(result *pb.LeaseResult) {
	switch result.Status {
	case pb.LeaseStatus_LEASE_STATUS_LOST:
		r.mu.Lock()
		// Given to this worker anew since: the result is about the execution before.
		isOld := result.Fence > 0 && result.Fence < r.fence
		r.mu.Unlock()
		if !isOld {
			r.leave("the lease was lost")
		}
	case pb.LeaseStatus_LEASE_STATUS_CANCEL:
		r.cancelBy(result.Fence, "", 0)
	case pb.LeaseStatus_LEASE_STATUS_PAUSE:
		r.pause()
	}
}
