// Section R of docs/replay-machine.md.

package pawl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// A run in this worker, from its dispatch until it ends, is suspended, or is taken away.
//
//	running ──▶ suspending ──▶ left      nothing to do but wait: given back
//	   │  ▲         │
//	   │  └─────────┘                    the server had something to do after all
//	   ├──▶ ending ──▶ left              result or failure is being reported
//	   └──▶ left                         lease lost, or paused
//
// Once it has left, each of its goroutines ends at the call that it is in.
type runState int

const (
	stateRunning runState = iota
	stateSuspending
	stateEnding
	stateLeft
)

type run struct {
	id   string
	item *pb.WorkItem
	link runLink
	log  *slog.Logger
	def  *definition
	root *scope
	// It is executed anew after each entry that it records.
	replaysAlways bool
	// Cancelled when the run is cancelled or leaves; user code's contexts derive from it.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// Done when the run leaves, and only then.
	present context.Context
	dismiss context.CancelFunc
	gone    <-chan struct{}
	// How far the server's clock is ahead of this machine's, when the run was handed out.
	clockAhead time.Duration

	mu    sync.Mutex
	state runState
	fence uint32
	// How many events the code has sent outside of steps, from its beginning, replays included.
	said       uint32
	memo       *memo
	queue      queue
	operations map[*operation]struct{}
	requests   int
	paused     bool
	// To be undone, should the run fail or be cancelled; in the order of their registration.
	compensations []compensation
	// The scopes of callbacks that are open, by their keys.
	callbacks map[string]*scope
	// Closed once `occupied` is false, where somebody waits for that.
	idle     chan struct{}
	occupied func() bool
	// The journal is being read for what was told to nobody; nil where it is not.
	missing *missing
	// Steps whose ends the journal that was read has, where the replies are still to come, with their places.
	unanswered map[*operation]uint32
	// Reports under way of waits that were lost.
	closings int
	// Its code is not over; apart from the run, which is not to be kept for it.
	isPerforming *atomic.Bool
	// Another execution of it follows here.
	isRestarted bool
	// The key of what it is executed anew for; empty once that was asked for.
	expected string
	// What the platform refused, which leaves no record: every execution asks for it again. In the mode
	// "replay always" only.
	refused map[string]bool
	// It has left without the platform's knowledge: it has to be given back.
	gaveUp          bool
	cancelReason    *Cancelled
	cancelDelivered bool
	// Its clean-up has ended before, and only what that left undone is to be done.
	undoesOnly bool
	// Starts of steps are awaited until an end is on record: a worker was lost with this run.
	careful bool
	// Closed when bodies that a cancel has not ended are waited for no longer.
	abandoned chan struct{}

	// Operations that have something of this worker's to do.
	busy     int
	activity int
	// Due times by step key; zero where unknown.
	waits  map[string]time.Time
	linger *time.Timer
}

func newRun(def *definition, item *pb.WorkItem, m *memo, link runLink, log *slog.Logger) *run {
	r := &run{
		id:           item.Lease.GetRunId(),
		item:         item,
		link:         link,
		log:          log,
		def:          def,
		root:         &scope{},
		fence:        item.Lease.GetFence(),
		memo:         m,
		operations:   map[*operation]struct{}{},
		callbacks:    map[string]*scope{},
		unanswered:   map[*operation]uint32{},
		waits:        map[string]time.Time{},
		abandoned:    make(chan struct{}),
		isPerforming: new(atomic.Bool),
		careful:      item.Careful,
		refused:      map[string]bool{},
	}
	r.replaysAlways = def.replaysAlways || replayAlways
	r.queue = queue{run: r, running: 1, replaying: len(m.records) > 0}
	if expires := item.Lease.GetExpiresAt(); expires != nil {
		// A lease that has just been given ends a lease time from the server's now.
		r.clockAhead = time.Until(expires.AsTime()) - leaseTime
	}
	r.present, r.dismiss = context.WithCancel(context.Background())
	r.gone = r.present.Done()
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	r.ctx = withPlace(ctx, &place{run: r, scope: r.root})
	if item.Cancelling {
		r.undoesOnly = m.undoesOnly
		r.cancelReason = &Cancelled{Reason: orElse(m.cancelReason, "the run was cancelled")}
		cancel(r.cancelReason)
	}
	return r
}

// perform executes the workflow's code; it is the run's own goroutine.
func (r *run) perform() {
	r.isPerforming.Store(true)
	defer r.isPerforming.Store(false)
	output, err := r.invoke()
	if err == nil {
		err = r.complete(output)
	}
	if err != nil {
		failures := r.compensate(err)
		r.awaitClosed()
		r.end(err, failures...)
	}
}

func (r *run) invoke() (output *pb.Payload, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if value := recover(); value != nil {
			err = newPanicError(value)
		} else if !r.isGone() {
			go r.end(errGoexit)
		}
	}()
	input, err := r.parsed("value:input", r.item.Input)
	if err == nil {
		output, err = r.def.invoke(r.ctx, input)
	}
	returned = true
	return output, err
}

// parsed is what an SDK in another language has made of a value that was sent, by a schema of its
// code, if that is on record under the key: it was parsed once, for all replays.
func (r *run) parsed(key string, sent *pb.Payload) (*pb.Payload, error) {
	r.mu.Lock()
	if rec := r.memo.take(key); rec != nil {
		r.queue.lastSeq = max(r.queue.lastSeq, rec.seq)
		sent = rec.payload
	}
	r.mu.Unlock()
	return r.fetch(sent)
}

var errGoexit = errors.New("the code called runtime.Goexit, as testing.T.FailNow does")

// until is how long it is to a moment of the server's, by the server's clock.
func (r *run) until(moment time.Time) time.Duration { return time.Until(moment) - r.clockAhead }

// fromNow is the server's moment so long from now.
func (r *run) fromNow(wait time.Duration) time.Time { return time.Now().Add(wait + r.clockAhead) }

// over says that nothing of this run may reach user code or the platform any more. The run is locked.
func (r *run) over() bool { return r.state == stateEnding || r.state == stateLeft }

// isGone says whether the run has left this worker.
func (r *run) isGone() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}

// lockPresent locks the run; where it is over, the goroutine ends.
func (r *run) lockPresent() {
	r.mu.Lock()
	if r.over() {
		r.mu.Unlock()
		<-r.gone
		runtime.Goexit()
	}
}

// nextRequestID is an id for a start, the same however often it is sent. The run is locked.
func (r *run) nextRequestID() string {
	r.requests++
	return fmt.Sprintf("%d-%d-%d", r.fence, r.item.Lease.GetAttempt(), r.requests)
}

// signalAll has every operation look again. The run is locked.
func (r *run) signalAll() {
	for op := range r.operations {
		op.signal()
	}
}

// wake has all operations ask again once the platform is in reach again. Nobody was told what was resolved meanwhile.
func (r *run) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readMissed(max(r.memo.lastSeq, r.queue.lastSeq), nil)
	for op := range r.operations {
		op.asking = true
		op.signal()
	}
}

// waitResolved notes that the server resolved a wait of this run while it is held here.
func (r *run) waitResolved(entry *pb.JournalEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over() {
		return
	}
	if r.missing != nil {
		r.missing.pushed[entry.Seq] = struct{}{}
	}
	r.resolve(entry)
}

func (r *run) resolve(entry *pb.JournalEntry) {
	r.careful = false
	r.memo.add(entry)
	// Also where the code has stopped waiting for it meanwhile.
	rec := r.memo.take(entry.StepKey)
	for op := range r.operations {
		if op.key == entry.StepKey && op.resolution == nil && rec != nil {
			op.resolution = rec
			delete(r.waits, op.key)
			r.activity++
			r.queue.pushNew(op, rec.seq)
			return
		}
	}
}

// ── what the platform wants ──

func (r *run) obey(directive pb.Directive) {
	switch directive {
	case pb.Directive_DIRECTIVE_PAUSE:
		r.pause()
	case pb.Directive_DIRECTIVE_YIELD:
		r.leave("the platform took the run back")
	case pb.Directive_DIRECTIVE_CANCEL:
		// It announces the new fence, which comes with Cancel or the next heartbeat.
		r.link.attention(r)
	}
}

// obeyLater is obey where the run may be locked.
func (r *run) obeyLater(directive pb.Directive) {
	if directive > pb.Directive_DIRECTIVE_CONTINUE {
		go r.obey(directive)
	}
}

// obeyStop does what the server says in place of permitting a start.
func (op *operation) obeyStop(reason pb.StepStartedResponse_Stop_Reason, fence uint32) {
	r := op.run
	switch {
	case reason == pb.StepStartedResponse_Stop_REASON_RUN_CANCELLED:
		r.cancelBy(fence, "", 0)
	case reason == pb.StepStartedResponse_Stop_REASON_RUN_PAUSED && !op.scope.insideStep:
		r.pause()
	default:
		// What is inside of a step belongs to it, and is refused only where the run was taken back.
		r.leave(strings.TrimPrefix(reason.String(), "REASON_"))
	}
}

// pause lets no step start outside of those in flight. Once these are recorded, the run is given back.
// A run that is being cancelled is not paused: a reply from before the cancel may have arrived late.
func (r *run) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over() && r.cancelReason == nil {
		r.paused = true
		r.checkQuiet()
	}
}

// cancelBy aborts what is in flight and lets the code clean up under the new fence.
// Bodies of steps get a moment of the grace to end by themselves.
func (r *run) cancelBy(fence uint32, reason string, grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == stateLeft {
		return
	}
	if fence != 0 {
		r.fence = fence
	}
	if r.cancelReason != nil {
		return
	}
	r.cancelReason = &Cancelled{Reason: orElse(reason, "the run was cancelled")}
	if r.state == stateEnding {
		return
	}
	r.paused = false
	r.cancel(r.cancelReason)
	if grace <= 0 {
		grace = cancelGrace
	}
	time.AfterFunc(min(grace/4, settleMax), func() { close(r.abandoned) })
	for op := range r.operations {
		if op.scope.isReachedBy(r.root) {
			op.abort(r.cancelReason)
		}
	}
}

// endScope ends a branch: aborts what is in flight in it; nothing starts in it any more.
func (r *run) endScope(s *scope, why *Cancelled) {
	if s.ended == nil {
		s.ended = why
	}
	for op := range r.operations {
		if op.scope.isReachedBy(s) {
			op.abort(why)
		}
	}
	for key, open := range r.callbacks {
		if open.isReachedBy(s) {
			delete(r.callbacks, key)
			r.closeWait(key)
		}
	}
}

// closeStepScope ends what the body of a step, which is over, has left behind.
func (r *run) closeStepScope(s *scope, why *Cancelled) {
	r.endScope(s, why)
	for op := range r.operations {
		if op.scope.isWithin(s) {
			op.abort(why)
		}
	}
}
