package pawl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// A connection as the runs in it see it.

// pendingCall is a request that waits for its reply, to be sent again on a new stream.
type pendingCall struct {
	run   *run
	frame *pb.WorkerFrame
	size  int
	done  func(proto.Message, error)
	// It left on the stream that is open, or was the last.
	sent bool
	// How many streams were cut while it was the only large request on them without an answer.
	cuts int
}

func (s *connection) confirmsStarts() bool { return false }
func (s *connection) pushesWaits() bool    { return true }
func (s *connection) suspends() bool       { return true }

// canStart upholds S3.
func (s *connection) canStart() bool {
	if s.isOpen.Load() && int64(time.Since(started)) < s.leaseUntil.Load() && !s.stoodStill() {
		return true
	}
	s.stale.Store(true)
	return false
}

func (s *connection) stoodStillSince(moment time.Time) bool {
	s.stoodStill()
	return s.pulse.stoodStillSince(moment)
}

func (s *connection) exchange(r *run, request proto.Message, done func(proto.Message, error)) {
	frame, size := frameOf(request)
	if size > sessionMessageBytesMax+frameSlack {
		done(nil, &RequestError{Reason: InvalidArgument, Code: codes.InvalidArgument, Message: fmt.Sprintf(
			"a message of %d bytes is too large for the server (limit %d)", size, sessionMessageBytesMax)})
		return
	}
	s.flush(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(r, frame, size, done)
}

// unsendable drops a frame that cannot be encoded, such as one with a text that is not UTF-8. Only the caller that sent
// it has to do with that.
func (s *connection) unsendable(frame *pb.WorkerFrame, err error) {
	s.mu.Lock()
	call := s.calls[frame.Id]
	delete(s.calls, frame.Id)
	s.answeredOne()
	s.mu.Unlock()
	if call == nil {
		s.log.Warn("a message could not be encoded and was dropped", "error", err)
		return
	}
	go call.done(nil, unencodable(err))
}

// isCut says whether a stream ended as proxies end it when a message, or all of a stream's together, is over their
// limit: with INTERNAL_ERROR or ENHANCE_YOUR_CALM.
func isCut(err error) bool {
	var known *RequestError
	return errors.As(err, &known) && strings.Contains(known.Message, "RST_STREAM with error code: ") &&
		(strings.Contains(known.Message, "INTERNAL_ERROR") || strings.Contains(known.Message, "ENHANCE_YOUR_CALM"))
}

// streamCut deals with a large request that got no answer, since it may never get through. It fails when that has happened
// a few times while no other could be the reason: from now on a large one is sent only when nothing
// else is without an answer.
func (s *connection) streamCut(err error) {
	s.mu.Lock()
	id, suspect, large := uint32(0), (*pendingCall)(nil), 0
	for each, call := range s.calls {
		if call.sent && call.size > suspectFrameBytes {
			id, suspect = each, call
			large++
		}
	}
	s.careful = large > 0
	if large > 1 {
		suspect = nil
	}
	if suspect != nil {
		suspect.cuts++
		if suspect.cuts < suspectFrameTries {
			suspect = nil
		} else {
			delete(s.calls, id)
		}
	}
	s.mu.Unlock()
	if suspect == nil {
		return
	}
	refusal := &RequestError{Reason: "PAYLOAD_TOO_LARGE", Code: codes.InvalidArgument, Message: fmt.Sprintf(
		"a message of %d bytes ended the connection %d times (%v); a proxy on the way may bound request bodies, as nginx does with client_max_body_size",
		suspect.size, suspect.cuts, err)}
	s.log.Error("a message does not get through; its step or run fails", "error", refusal)
	go suspect.done(nil, refusal)
}

// open sends a request, to be kept until it is answered. The connection is locked.
func (s *connection) open(r *run, frame *pb.WorkerFrame, size int, done func(proto.Message, error)) {
	s.nextID++
	if s.nextID == heartbeatID {
		s.nextID = 1
	}
	frame.Id = s.nextID
	call := &pendingCall{run: r, frame: frame, size: size, done: done}
	s.calls[frame.Id] = call
	if s.isOpen.Load() && !s.careful {
		call.sent = true
		s.outbox.push(frame, size)
	}
}

// resend sends all requests again on a new stream, in their order. The connection is locked.
func (s *connection) resend() {
	for _, call := range s.calls {
		call.sent = false
	}
	s.sendSome()
}

// sendSome sends requests that were not sent yet: after a cut only as many as cannot be what is too large,
// until those were answered. The connection is locked, and its stream open or about to be.
func (s *connection) sendSome() {
	open := 0
	ids := make([]uint32, 0, len(s.calls))
	for id, call := range s.calls {
		if call.sent {
			open += call.size
		} else {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		call := s.calls[id]
		if s.careful && open > 0 && open+call.size > suspectFrameBytes {
			return
		}
		call.sent = true
		open += call.size
		s.outbox.push(call.frame, call.size)
	}
	s.careful = false
}

// answeredOne sends what waited for an answer, if requests are sent with care. The connection is locked.
func (s *connection) answeredOne() {
	if s.careful && s.isOpen.Load() {
		s.sendSome()
	}
}

func frameOf(request proto.Message) (*pb.WorkerFrame, int) {
	switch known := request.(type) {
	case *pb.StepStartedRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_StepStarted{StepStarted: known}}, frameBytes + len(known.Input.GetData()) + proto.Size(known.Wait)
	case *pb.StepCompletedRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_StepCompleted{StepCompleted: known}}, frameBytes + len(known.Output.GetData()) + len(known.Input.GetData())
	case *pb.StepFailedRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_StepFailed{StepFailed: known}}, frameBytes + proto.Size(known)
	case *pb.SuspendRunRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_SuspendRun{SuspendRun: known}}, frameBytes + proto.Size(known)
	case *pb.CompleteRunRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_CompleteRun{CompleteRun: known}}, frameBytes + proto.Size(known)
	case *pb.CloseWaitsRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_CloseWaits{CloseWaits: known}}, frameBytes + proto.Size(known)
	case *pb.BeginCleanUpRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_BeginCleanUp{BeginCleanUp: known}}, frameBytes + proto.Size(known)
	case *pb.FailRunRequest:
		return &pb.WorkerFrame{Body: &pb.WorkerFrame_FailRun{FailRun: known}}, frameBytes + proto.Size(known)
	}
	panic(fmt.Sprintf("pawl: no frame carries a %T", request))
}

// settle hands a reply to the waiting caller.
func (s *connection) settle(reply *pb.Reply) {
	s.mu.Lock()
	call := s.calls[reply.Id]
	delete(s.calls, reply.Id)
	s.answeredOne()
	if reply.Id == heartbeatID && len(s.beats) > 0 {
		s.beats = s.beats[1:]
	}
	s.mu.Unlock()
	if call == nil {
		if refusal := reply.GetError(); refusal != nil {
			s.log.Debug("the server refused a frame", "reason", refusal.Reason, "message", refusal.Message)
		}
		return
	}
	call.done(resultOf(reply))
}

func resultOf(reply *pb.Reply) (proto.Message, error) {
	switch result := reply.Result.(type) {
	case *pb.Reply_Error:
		return nil, errorFromFrame(result.Error)
	case *pb.Reply_StepStarted:
		return result.StepStarted, nil
	case *pb.Reply_StepCompleted:
		return result.StepCompleted, nil
	case *pb.Reply_StepFailed:
		return result.StepFailed, nil
	case *pb.Reply_SuspendRun:
		return result.SuspendRun, nil
	case *pb.Reply_CompleteRun:
		return result.CompleteRun, nil
	case *pb.Reply_FailRun:
		return result.FailRun, nil
	case *pb.Reply_CloseWaits:
		return result.CloseWaits, nil
	case *pb.Reply_BeginCleanUp:
		return result.BeginCleanUp, nil
	case *pb.Reply_PublishEvents:
		return result.PublishEvents, nil
	}
	return nil, &RequestError{Reason: Unavailable, Message: "the server answered a request with something else", Code: codes.Unavailable}
}

// notes are starts of steps that may not be worth a frame: those that are over
// by the time that it would leave are said by their completion.
type notes struct {
	announce func(*attempt)
	mu       sync.Mutex
	waiting  []*attempt
	armed    bool
}

func (n *notes) add(a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, a)
	if !n.armed {
		n.armed = true
		time.AfterFunc(noteAfter, n.flush)
	}
}

func (n *notes) flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = false
	for _, a := range n.waiting {
		if !a.ended.Load() {
			n.announce(a)
		}
	}
	clear(n.waiting)
	n.waiting = n.waiting[:0]
}

func (s *connection) noteStart(a *attempt) {
	s.flush(a.step.run)
	s.notes.add(a)
}

func (s *connection) announce(a *attempt) {
	r := a.step.run
	r.mu.Lock()
	message := a.step.startMessage()
	over := r.over()
	r.mu.Unlock()
	if !over {
		frame, _ := frameOf(message)
		s.push(frame)
	}
}

func (s *connection) publish(r *run, fence uint32, event *pb.NewEvent, size int) uint32 {
	return s.deltas.add(r, fence, event, size)
}

func (s *connection) flush(r *run) { s.deltas.flush(r) }

// sendDeltas sends the starts first of the steps that the output is of.
func (s *connection) sendDeltas(r *run, batch *pb.PublishEventsRequest, size int, must bool, done func()) bool {
	s.notes.flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !must && (!s.isOpen.Load() || s.outbox.congested()) {
		return false
	}
	frame := &pb.WorkerFrame{Body: &pb.WorkerFrame_PublishEvents{PublishEvents: batch}}
	s.open(r, frame, frameBytes+size, func(proto.Message, error) { done() })
	return true
}

func (s *connection) getRun(ctx context.Context, runID string) (*pb.Run, error) {
	return s.platform.getRun(ctx, runID)
}

func (s *connection) startRun(ctx context.Context, request *pb.StartRunRequest, _ *definition) (*pb.StartRunResponse, error) {
	return call(ctx, s.platform, s.platform.runs.StartRun, request)
}

func (s *connection) journal(ctx context.Context, runID string, afterSeq uint32, take func([]*pb.JournalEntry)) error {
	return s.platform.journal(ctx, runID, afterSeq, take)
}

func (s *connection) upload(ctx context.Context, data []byte) (*pb.PayloadRef, error) {
	return s.platform.upload(ctx, data)
}

func (s *connection) download(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
	return s.platform.download(ctx, payload)
}

// attention sends a heartbeat, although the connection is told of cancellations without asking.
func (s *connection) attention(*run) bool {
	s.heartbeat()
	return true
}

func (s *connection) cancelWait(ctx context.Context, request *pb.CancelWaitRequest) error {
	_, err := call(ctx, s.platform, s.platform.waits.CancelWait, request)
	return err
}
