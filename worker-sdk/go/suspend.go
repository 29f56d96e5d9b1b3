package pawl

import (
	"maps"
	"slices"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// When a run has nothing to do here: no operation is busy, its code waits, and
// what is pending is the server's. It has to stay so for a moment, since
// goroutines of user code may do things between its steps that nobody sees.

// setBusy notes that an operation has something to do here, or no longer. The run is locked.
func (r *run) setBusy(busy bool) {
	r.activity++
	if busy {
		r.busy++
		return
	}
	r.busy--
	r.checkRestart()
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

// isQuiet says whether there is nothing to do, so that the run can be given back. The run is locked.
func (r *run) isQuiet() bool {
	if r.state != stateRunning || r.cancelReason != nil || r.queue.running > 0 || len(r.queue.waiting) > 0 || r.missing != nil {
		return false
	}
	if r.paused {
		return r.busy == r.bodiesThatWait()
	}
	return r.busy == 0 && len(r.queue.news) == 0 && len(r.waits) > 0 && r.link.suspends()
}

// bodiesThatWait counts the bodies with a wait inside, which may be long. A pause does not last for
// them: they are executed again. It does for at-most-once steps, which are not. The run is locked.
func (r *run) bodiesThatWait() int {
	count := 0
	for op := range r.operations {
		for key := range r.waits {
			if op.isRepeatable && strings.HasPrefix(key, op.key+"/") {
				count++
				break
			}
		}
	}
	return count
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

// isWorthwhile says whether all waits are long enough to give the run back for.
func (r *run) isWorthwhile() bool {
	for _, due := range r.waits {
		if !due.IsZero() && r.until(due) < hotWait {
			return false
		}
	}
	return true
}

// tree wakes the run when any of its waits is resolved. What the branches of a race wait for are
// alternatives besides: once all that one of them waits for has arrived, nobody takes what comes for
// the others. Nil where the tree would be too long to say. The run is locked.
func (r *run) tree() *pb.WaitTree {
	members := make([]*pb.WaitTree, 0, len(r.waits))
	races := map[*group]map[*scope]*pb.WaitGroup{}
	size := 0
	for op := range r.operations {
		if _, waits := r.waits[op.key]; !waits {
			continue
		}
		size += len(op.key)
		leaf := &pb.WaitTree{Node: &pb.WaitTree_StepKey{StepKey: op.key}}
		members = append(members, leaf)
		for s := op.scope; s != nil; s = s.parent {
			if s.race == nil {
				continue
			}
			if races[s.race] == nil {
				races[s.race] = map[*scope]*pb.WaitGroup{}
			}
			if races[s.race][s] == nil {
				races[s.race][s] = &pb.WaitGroup{}
			}
			races[s.race][s].Members = append(races[s.race][s].Members, leaf)
		}
	}
	for _, branches := range races {
		if len(branches) < 2 {
			continue
		}
		alternatives := &pb.WaitGroup{Needed: 1, Exclusive: true}
		for _, branch := range branches {
			alternatives.Members = append(alternatives.Members, treeOfGroup(branch))
		}
		members = append(members, treeOfGroup(alternatives))
	}
	if size > treeBytesMax || len(members) == 0 {
		return nil
	}
	return treeOfGroup(&pb.WaitGroup{Members: members, Needed: 1})
}

func treeOfGroup(group *pb.WaitGroup) *pb.WaitTree {
	return &pb.WaitTree{Node: &pb.WaitTree_Group{Group: group}}
}

// held are the waits that the code holds; nil where those would be too long to say. The run is locked.
func (r *run) held() *pb.HeldWaits {
	keys := slices.Collect(maps.Keys(r.callbacks))
	for op := range r.operations {
		switch op.kind {
		case pb.StepKind_STEP_KIND_STEP, pb.StepKind_STEP_KIND_VALUE, pb.StepKind_STEP_KIND_UNSPECIFIED:
		default:
			keys = append(keys, op.key)
		}
	}
	size := 0
	for _, key := range keys {
		size += len(key)
	}
	if size > treeBytesMax {
		return nil
	}
	slices.Sort(keys)
	return &pb.HeldWaits{StepKeys: slices.Compact(keys)}
}

func (r *run) suspend() {
	message, err := r.ask(func() proto.Message {
		request := &pb.SuspendRunRequest{RunId: r.id, Fence: r.fence}
		if r.item.ConfirmStarts {
			// Nothing of the run is to change, and what the code has passed over is of interest.
			request.UnconsumedStepKeys = r.memo.unconsumed()
		} else if !r.paused {
			request.Held = r.held()
		}
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
	r.checkRestart()
	r.mu.Unlock()
	r.obey(response.Directive)
}
