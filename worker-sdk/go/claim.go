package pawl

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// LeaseWait is how long Execute waits while somebody else executes the run. Default: not at all.
type LeaseWait time.Duration

func (LeaseWait) applyStart(*pb.StartRunRequest) {}

// Execute starts a run and executes it in this process: no worker is needed.
// Called again after a crash with the same run id, it goes on from where it was;
// called again after the end, it returns the recorded result. Whoever executes a
// run and dies, or whose ctx is done, holds it until the lease ends, 15 s at most:
// until then others get RunLeased, or wait by LeaseWait.
func Execute[In, Out any](ctx context.Context, client *Client, workflow *Workflow[In, Out], in In, options ...StartOption) (Out, error) {
	var none Out
	if _, inRun := placeOf(ctx); inRun {
		return none, usage("Execute inside of a run would not be recorded as a part of it; use Child")
	}
	request, err := client.startRequest(ctx, workflow.def.name, workflow.def, in, options)
	if err != nil {
		return none, err
	}
	request.Claim = true
	var patience time.Duration
	for _, option := range options {
		if wait, ok := option.(LeaseWait); ok {
			patience = time.Duration(wait)
		}
	}
	response, err := client.claim(ctx, request, patience)
	if err != nil {
		return none, err
	}
	handle := &Handle[Out]{client: client, RunID: response.Run.GetRunId(), Existing: response.Existing}
	if !hasEnded(response.Run) {
		if response.Claimed == nil {
			return none, &Error{Reason: "INTERNAL", Message: "the server gave neither a lease nor an outcome", Code: codes.Internal}
		}
		if err := client.perform(ctx, workflow.def, response.Claimed); err != nil {
			return none, err
		}
		state, err := handle.Get(ctx)
		if err != nil {
			return none, err
		}
		if state.State == pb.RunState_RUN_STATE_PAUSED {
			return none, &Error{
				Reason: RunPaused, Code: codes.FailedPrecondition,
				Message:  "the run " + handle.RunID + " is paused: " + orElse(state.StateDetail, state.StateReason),
				Metadata: map[string]string{"run_id": handle.RunID, "state_reason": state.StateReason},
			}
		}
	}
	// Ended here, or taken over by somebody else.
	return handle.Result(ctx)
}

func (c *Client) claim(ctx context.Context, request *pb.StartRunRequest, patience time.Duration) (*pb.StartRunResponse, error) {
	end := time.Now().Add(patience)
	for {
		response, err := call(ctx, c.platform, c.platform.runs.StartRun, request)
		if !errors.Is(err, RunLeased) || time.Now().After(end) {
			return response, err
		}
		pause := 500 * time.Millisecond
		var known *Error
		if errors.As(err, &known) && known.RetryAfter > 0 {
			pause = known.RetryAfter
		}
		wait(ctx, min(pause, time.Until(end)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// perform executes what was claimed until it has left this process.
func (c *Client) perform(ctx context.Context, def *definition, item *pb.WorkItem) error {
	m := newMemo()
	m.add(item.Journal...)
	if item.JournalMore {
		err := c.platform.journal(ctx, item.Lease.RunId, m.lastSeq, func(entries []*pb.JournalEntry) { m.add(entries...) })
		if err != nil {
			return err
		}
	}
	link := &unaryLink{platform: c.platform.withPatience(forever), log: c.log}
	link.deltas = &deltas{send: link.sendDeltas, onDrop: func(count int) {
		c.log.Warn("live output was dropped: the server does not keep up", "events", count)
	}}
	r := newRun(def, item, m, link, c.log)
	go r.perform()
	ticker := time.NewTicker(claimHeartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-r.gone:
			link.deltas.flush("")
			return nil
		case <-ticker.C:
			go link.beat(r)
		case <-ctx.Done():
			r.leave("the caller gave the run up")
			return context.Cause(ctx)
		}
	}
}

// unaryLink is the platform by plain calls, for a program that executes its own run.
type unaryLink struct {
	platform *platform
	log      *slog.Logger
	deltas   *deltas
	// Answers of separate calls may overtake one another, and user code is to see
	// them in the order of the journal: so reports are made one after the other.
	reports    sync.Mutex
	publishing atomic.Bool
	beating    sync.Mutex
}

func (l *unaryLink) confirmsStarts() bool { return true }
func (l *unaryLink) pushesWaits() bool    { return false }

// suspends: while this process lives, it is the one that goes on with the run.
func (l *unaryLink) suspends() bool     { return false }
func (l *unaryLink) canStart() bool     { return true }
func (l *unaryLink) noteStart(*attempt) {}

func (l *unaryLink) exchange(r *run, request proto.Message, done func(proto.Message, error)) {
	go func() {
		ctx := r.present
		p := l.platform
		var reply proto.Message
		var err error
		switch known := request.(type) {
		case *pb.StepStartedRequest:
			reply, err = answerOf(call(ctx, p, p.steps.StepStarted, known))
		case *pb.StepCompletedRequest:
			l.reports.Lock()
			defer l.reports.Unlock()
			reply, err = answerOf(call(ctx, p, p.steps.StepCompleted, known))
		case *pb.StepFailedRequest:
			l.reports.Lock()
			defer l.reports.Unlock()
			reply, err = answerOf(call(ctx, p, p.steps.StepFailed, known))
		case *pb.SuspendRunRequest:
			reply, err = answerOf(call(ctx, p, p.workers.SuspendRun, known))
		case *pb.CompleteRunRequest:
			l.flush(r)
			reply, err = answerOf(call(ctx, p, p.workers.CompleteRun, known))
		case *pb.FailRunRequest:
			l.flush(r)
			reply, err = answerOf(call(ctx, p, p.workers.FailRun, known))
		}
		if !r.isGone() {
			done(reply, err)
		}
	}()
}

// answerOf keeps an answer that is missing from becoming a message that is nil.
func answerOf[M proto.Message](message M, err error) (proto.Message, error) {
	if err != nil {
		return nil, err
	}
	return message, nil
}

func (l *unaryLink) publish(r *run, fence uint32, event *pb.NewEvent, size int) {
	l.deltas.add(r.id, fence, event, size)
}

func (l *unaryLink) flush(r *run) { l.deltas.flush(r.id) }

func (l *unaryLink) sendDeltas(batch *pb.PublishEventsRequest, _ int) bool {
	if !l.publishing.CompareAndSwap(false, true) {
		return false
	}
	go func() {
		defer l.publishing.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stream, err := l.platform.events.PublishEvents(ctx)
		if err == nil {
			// The reply says what went wrong. Live output is worth no second try.
			_ = stream.Send(batch)
			_, err = stream.CloseAndRecv()
		}
		if err != nil {
			l.log.Debug("live output was refused", "error", err)
		}
	}()
	return true
}

func (l *unaryLink) startRun(ctx context.Context, request *pb.StartRunRequest) (*pb.StartRunResponse, error) {
	return call(ctx, l.platform, l.platform.runs.StartRun, request)
}

func (l *unaryLink) upload(ctx context.Context, data []byte) (*pb.PayloadRef, error) {
	return l.platform.upload(ctx, data)
}

func (l *unaryLink) download(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
	return l.platform.download(ctx, payload)
}

func (l *unaryLink) attention(r *run) bool { return l.beat(r) }

func (l *unaryLink) cancelWait(ctx context.Context, request *pb.CancelWaitRequest) error {
	_, err := call(ctx, l.platform, l.platform.signals.CancelWait, request)
	return err
}

func (l *unaryLink) released(*run) {}

const claimHeartbeat = 5 * time.Second

// beat renews the lease, and passes on what is said about it; false where nothing is.
func (l *unaryLink) beat(r *run) bool {
	l.beating.Lock()
	defer l.beating.Unlock()
	r.mu.Lock()
	lease := &pb.Lease{RunId: r.id, Fence: r.fence}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.present, claimHeartbeat)
	defer cancel()
	response, err := l.platform.workers.HeartbeatLeases(ctx, &pb.HeartbeatLeasesRequest{Leases: []*pb.Lease{lease}})
	if err != nil {
		if !r.isGone() {
			// The next one tries again; every write names its fence, so nothing is at risk meanwhile.
			l.log.Warn("the lease could not be renewed", "run", r.id, "error", err)
		}
		return false
	}
	for _, result := range response.Results {
		r.leaseResult(result)
	}
	return true
}
