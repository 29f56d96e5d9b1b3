package pawl

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// unaryLink is the platform by plain calls, for one run: of a worker that polls, or of a
// program that executes its own.
type unaryLink struct {
	platform *platform
	log      *slog.Logger
	// The run may be given back while it waits. A program that executes its own run is
	// the one that continues with it while it lives.
	givesBack  bool
	onReleased func(*run)
	onRestart  func(*run)
	deltas     *deltas
	// Answers of separate calls may overtake one another, and user code is to see
	// them in the order of the journal: so reports are made one after the other.
	reports    sync.Mutex
	publishing atomic.Bool
	beating    sync.Mutex
}

func newUnaryLink(p *platform, log *slog.Logger) *unaryLink {
	watchProcess()
	l := &unaryLink{platform: p, log: log}
	l.deltas = &deltas{send: l.sendDeltas, onDrop: func(count int) {
		log.Warn("live output was dropped: the server does not keep up", "events", count)
	}}
	return l
}

func (l *unaryLink) confirmsStarts() bool { return true }
func (l *unaryLink) pushesWaits() bool    { return false }

func (l *unaryLink) suspends() bool     { return l.givesBack }
func (l *unaryLink) canStart() bool     { return true }
func (l *unaryLink) noteStart(*attempt) {}

func (l *unaryLink) stoodStillSince(moment time.Time) bool {
	processPulse.beat()
	return processPulse.stoodStillSince(moment)
}

func (l *unaryLink) exchange(r *run, request proto.Message, done func(proto.Message, error)) {
	go func() {
		ctx := r.present
		p := l.platform
		var reply proto.Message
		var err error
		// Separate calls may overtake one another: what the run has said goes first.
		l.deltas.wait(r)
		switch known := request.(type) {
		case *pb.StepStartedRequest:
			reply, err = answerOf(call(ctx, p, p.steps.StepStarted, known))
			if started, is := reply.(*pb.StepStartedResponse); is && started.GetReplay() != nil {
				// A report that is on record before it goes first.
				l.reports.Lock()
				defer l.reports.Unlock()
			}
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
			reply, err = answerOf(call(ctx, p, p.workers.CompleteRun, known))
		case *pb.CloseWaitsRequest:
			reply, err = answerOf(call(ctx, p, p.workers.CloseWaits, known))
		case *pb.BeginCleanUpRequest:
			reply, err = answerOf(call(ctx, p, p.workers.BeginCleanUp, known))
		case *pb.FailRunRequest:
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

func (l *unaryLink) publish(r *run, fence uint32, event *pb.NewEvent, size int) uint32 {
	return l.deltas.add(r, fence, event, size)
}

func (l *unaryLink) flush(r *run) { l.deltas.flush(r) }

// sendDeltas makes one call after the other; numbers make it safe to send the same again. It lasts
// through an outage, within the bound of what is kept, as long as the run is here.
func (l *unaryLink) sendDeltas(r *run, batch *pb.PublishEventsRequest, _ int, _ bool, done func()) bool {
	if !l.publishing.CompareAndSwap(false, true) {
		return false
	}
	go func() {
		pause := pauses{first: 50 * time.Millisecond, most: time.Second}
		began, tries := time.Now(), 0
		for {
			err := l.publishOnce(batch)
			if err == nil {
				break
			}
			if l.platform.hasAnsweredSince(began) {
				tries++
			}
			again := isTransient(errorOf(err)) || status.Code(err) == codes.DeadlineExceeded
			if !again || tries == deltaTries || r.isGone() {
				l.log.Debug("live output was given up", "error", err)
				break
			}
			pause.sleep(r.present)
		}
		l.publishing.Store(false)
		done()
	}()
	return true
}

func (l *unaryLink) publishOnce(batch *pb.PublishEventsRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stream, err := l.platform.events.PublishEvents(ctx)
	if err == nil {
		// The reply says what went wrong.
		_ = stream.Send(batch)
		_, err = stream.CloseAndRecv()
	}
	return err
}

func (l *unaryLink) getRun(ctx context.Context, runID string) (*pb.Run, error) {
	return l.platform.getRun(ctx, runID)
}

func (l *unaryLink) startRun(ctx context.Context, request *pb.StartRunRequest, _ *definition) (*pb.StartRunResponse, error) {
	return call(ctx, l.platform, l.platform.runs.StartRun, request)
}

func (l *unaryLink) journal(ctx context.Context, runID string, afterSeq uint32, take func([]*pb.JournalEntry)) error {
	return l.platform.journal(ctx, runID, afterSeq, take)
}

func (l *unaryLink) upload(ctx context.Context, data []byte) (*pb.PayloadRef, error) {
	return l.platform.upload(ctx, data)
}

func (l *unaryLink) download(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
	return l.platform.download(ctx, payload)
}

func (l *unaryLink) attention(r *run) bool { return l.beat(r) }

func (l *unaryLink) cancelWait(ctx context.Context, request *pb.CancelWaitRequest) error {
	_, err := call(ctx, l.platform, l.platform.waits.CancelWait, request)
	return err
}

func (l *unaryLink) inherit(before, r *run) { l.deltas.inherit(before, r) }

func (l *unaryLink) restart(r *run) { l.onRestart(r) }

func (l *unaryLink) released(r *run) {
	l.deltas.forget(r)
	if l.onReleased != nil {
		l.onReleased(r)
	}
}

// beat renews the lease, and passes on what is said about it; false where nothing is.
func (l *unaryLink) beat(r *run) bool {
	l.beating.Lock()
	defer l.beating.Unlock()
	r.mu.Lock()
	lease := &pb.Lease{RunId: r.id, Fence: r.fence}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.present, heartbeatInterval)
	defer cancel()
	response, err := l.platform.workers.HeartbeatLeases(ctx, &pb.HeartbeatLeasesRequest{Leases: []*pb.Lease{lease}})
	if err != nil {
		if !r.isGone() {
			// The next one tries again; every write names its fence, so nothing is at risk meanwhile.
			l.log.Warn("the lease could not be renewed", "run", r.id, "error", err)
		}
		return false
	}
	l.platform.noteAnswer()
	for _, result := range response.Results {
		r.leaseResult(result)
	}
	return true
}
