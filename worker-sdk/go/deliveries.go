// Section Q of docs/replay-machine.md.

package pawl

import (
	"container/heap"
	"time"
)

// Results are handed to a run's code one at a time, in the order of the journal,
// each once all branches wait in a call of this package again. So what a branch
// does next, and who wins a Race, is the same in every replay.
//
// Q1: `running` counts the goroutines of the run (the workflow's own and those of
// branches) that are not in a call of this package. Calls made by goroutines that
// user code started itself make it too low, never too high for long. Q2: a result is
// handed out when `running` is not above 0, smallest seq first. Q3: while recorded
// results are waiting, a step that is not recorded is parked, because what comes out
// of the journal next may end its branch. Q4: a branch that waits for another one by
// means of its own (a channel, a mutex) would stop everything; after `turnMax` the
// next result is handed out all the same, and the log says so.

// delivery is a result that waits for its turn.
type delivery struct {
	seq      uint32
	order    int
	recorded bool
	op       *operation
}

type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	return d[i].seq < d[j].seq || d[i].seq == d[j].seq && d[i].order < d[j].order
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// queue is guarded by its run's mutex.
type queue struct {
	run     *run
	waiting deliveries
	// The keys of what the code gets in the replay that follows.
	news    []string
	parked  []*operation
	running int
	order   int
	// Of `waiting`, how many are recorded.
	recorded int
	// A journal is there to replay, and the code has not waited yet.
	replaying bool
	lastSeq   uint32
	turn      int
	breaker   *time.Timer
}

func (q *queue) push(op *operation, seq uint32) {
	q.add(op, seq, false)
	q.pump()
}

// pushNew is push for what has just been recorded. In the mode "replay always" code of the workflow
// gets it in the replay that follows.
func (q *queue) pushNew(op *operation, seq uint32) {
	if !q.run.replaysAlways || op.scope.insideStep {
		q.push(op, seq)
	} else if !op.queued {
		op.queued = true
		delete(q.run.unanswered, op)
		q.news = append(q.news, op.key)
		q.run.checkRestart()
	}
}

// add is push for an operation whose goroutine is about to block.
func (q *queue) add(op *operation, seq uint32, recorded bool) {
	if op.queued {
		return
	}
	op.queued = true
	delete(q.run.unanswered, op)
	q.order++
	if recorded {
		q.recorded++
	}
	heap.Push(&q.waiting, delivery{seq, q.order, recorded, op})
}

// park keeps an operation from starting while recorded results are waiting.
func (q *queue) park(op *operation) {
	if q.replaying || q.recorded > 0 {
		op.parked = true
		q.parked = append(q.parked, op)
	}
}

// pushNext delivers before anything that waits: the consequence of the last delivery.
func (q *queue) pushNext(op *operation) { q.push(op, q.lastSeq) }

func (q *queue) isReplaying() bool { return q.replaying || q.recorded > 0 }

// block notes that a goroutine of the run enters a call, or ends. Calls of step bodies do not count.
func (q *queue) block(s *scope) {
	if !s.insideStep {
		q.running--
	}
	q.pump()
	// A branch that ends may have been the last that had something to do.
	q.run.checkQuiet()
}

func (q *queue) unblock(s *scope) {
	if !s.insideStep {
		q.running++
	}
}

func (q *queue) pump() {
	for q.running <= 0 && q.step() {
	}
	if q.running > 0 && q.breaker == nil && (len(q.waiting) > 0 || len(q.parked) > 0) {
		q.armBreaker()
	}
}

// step hands out one result, or lets parked steps go; false when there is neither.
func (q *queue) step() bool {
	// The journal that is being read may bring something earlier.
	if q.run.over() || q.run.missing != nil {
		return false
	}
	if len(q.waiting) == 0 {
		q.replaying = false
		for _, op := range q.parked {
			op.parked = false
			op.signal()
		}
		q.parked = nil
		return false
	}
	if q.run.isAhead(q.waiting[0].seq) {
		return false
	}
	next := heap.Pop(&q.waiting).(delivery)
	q.turn++
	q.lastSeq = max(q.lastSeq, next.seq)
	if next.recorded {
		q.recorded--
	}
	q.unblock(next.op.scope)
	next.op.delivered = true
	next.op.signal()
	return true
}

// armBreaker upholds Q4. The limit is made of many turns of a timer, so that it lasts longer where
// this process gets little to run, and the code is merely slow.
func (q *queue) armBreaker() {
	turn, ticks := q.turn, 0
	q.breaker = time.AfterFunc(turnTick, func() {
		q.run.mu.Lock()
		defer q.run.mu.Unlock()
		if q.run.over() {
			q.breaker = nil
			return
		}
		if ticks++; q.turn == turn && q.running > 0 && ticks < int(turnMax/turnTick) {
			q.breaker.Reset(turnTick)
			return
		}
		q.breaker = nil
		if q.turn == turn && q.running > 0 && len(q.waiting) > 0 && q.run.missing == nil {
			q.run.log.Warn("code of a run was between two calls of this package for a long time, such as waiting for another branch by a channel; the next result was handed out all the same, which may come in another order in a replay",
				"run", q.run.id, "step", q.waiting[0].op.key, "waited", turnMax)
		}
		if q.turn == turn {
			q.step()
		}
		q.pump()
	})
}
