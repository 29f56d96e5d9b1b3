package pawl

import (
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// When a run has nothing to do here: no operation is busy, its code waits, and
// what is pending is the server's. It has to stay so for a moment, since
// goroutines of user code may do things between its steps that nobody sees.

// setBusy: an operation has something to do here, or no longer. The run is locked.
func (r *run) setBusy(busy bool) {
	r.activity++
	if busy {
		r.busy++
		return
	}
	r.busy--
	r.checkQuiet()
}

func (r *run) addWait(key string, due time.Time) {
	r.waits[key] = due
	r.activity++
	r.checkQuiet()
}

func (r *run) removeWait(key string) {
	delete(r.waits, key)
	r.activity++
}

// isQuiet: there is nothing to do, and it matters. The run is locked.
func (r *run) isQuiet() bool {
	return r.state == stateRunning && r.cancelReason == nil && r.busy == 0 && r.queue.running <= 0 && len(r.queue.waiting) == 0 &&
		(r.paused || len(r.waits) > 0 && r.link.suspends())
}

// checkQuiet looks whether it is quiet, and again in a moment. The run is locked.
func (r *run) checkQuiet() {
	if r.linger != nil || !r.isQuiet() {
		return
	}
	before := r.activity
	r.linger = time.AfterFunc(suspendLinger, func() {
		r.mu.Lock()
		r.linger = nil
		if !r.isQuiet() {
			r.mu.Unlock()
			return
		}
		if r.activity != before {
			r.checkQuiet()
			r.mu.Unlock()
			return
		}
		if !r.paused && !r.isWorthwhile() {
			r.mu.Unlock()
			return
		}
		r.state = stateSuspending
		r.mu.Unlock()
		r.suspend()
	})
}

// isWorthwhile: all waits are long enough to give the run back for.
func (r *run) isWorthwhile() bool {
	for _, due := range r.waits {
		if !due.IsZero() && r.until(due) < hotWait {
			return false
		}
	}
	return true
}

// tree wakes the run when any of its waits is resolved; nil where that would be too long to say.
func (r *run) tree() *pb.WaitTree {
	members := make([]*pb.WaitTree, 0, len(r.waits))
	size := 0
	for key := range r.waits {
		size += len(key)
		members = append(members, &pb.WaitTree{Node: &pb.WaitTree_StepKey{StepKey: key}})
	}
	if size > treeBytesMax || len(members) == 0 {
		return nil
	}
	return &pb.WaitTree{Node: &pb.WaitTree_Group{Group: &pb.WaitGroup{Members: members, Needed: 1}}}
}

func (r *run) suspend() {
	message, err := r.ask(func() proto.Message {
		request := &pb.SuspendRunRequest{RunId: r.id, Fence: r.fence}
		if !r.paused {
			request.Tree = r.tree()
		}
		return request
	}, nil)
	if err != nil {
		r.mu.Lock()
		if r.state == stateSuspending {
			r.state = stateRunning
		}
		r.mu.Unlock()
		r.end(err)
		return
	}
	response := message.(*pb.SuspendRunResponse)
	if !response.Resumed {
		r.leave("suspended")
		return
	}
	r.mu.Lock()
	if r.state != stateSuspending {
		r.mu.Unlock()
		return
	}
	r.state = stateRunning
	if response.Directive != pb.Directive_DIRECTIVE_PAUSE {
		r.paused = false
	}
	answered := map[string]bool{}
	for _, entry := range response.Resolved {
		answered[entry.StepKey] = true
		r.resolve(entry)
	}
	for op := range r.operations {
		_, waits := r.waits[op.key]
		if waits && !answered[op.key] {
			op.asking = true
		}
		op.signal()
	}
	r.mu.Unlock()
	r.obey(response.Directive)
}
