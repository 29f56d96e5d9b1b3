package pawl

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// framedCalls makes the calls of a client as frames of one stream, RunService.Attach: many of them share a
// message, which costs far more than a frame. The caller does not notice.
//
//	closed ──▶ open      with the first call
//	open ──▶ closed      no call was under way for a moment, or the stream was lost
//	any ──▶ refused      what is at the other end does not take the stream; all calls are unary from then on
//
// If the stream is lost, its calls fail as if each had lost a connection of its own. Their callers send them
// again, with the same run ids and signal ids, on a new stream.
type framedCalls struct {
	runs pb.RunServiceClient

	mu      sync.Mutex
	stream  *callStream
	refused bool
}

// errStreamRefused says that the other end does not take the stream, so that the call must be a unary one.
var errStreamRefused = errors.New("the server does not take calls as frames of a stream")

// callStream is one stream, from its first frame until it ends. Guarded by the mutex of its framedCalls.
type callStream struct {
	calls   *framedCalls
	outbox  *outbox[*pb.ClientFrame]
	pending map[uint32]chan framedReply
	lastID  uint32
	ended   bool
	// The other end has replied to something.
	wasTaken bool
	// Ends the stream if nothing comes up.
	idling *time.Timer
}

// framedReply is the reply to one frame.
type framedReply struct {
	message any
	err     error
}

// framed makes one call on the client's stream; it returns errStreamRefused where there is none to be had.
func framed[Res any](ctx context.Context, p *platform, frame *pb.ClientFrame, size int) (Res, error) {
	var none Res
	if p.framed == nil {
		return none, errStreamRefused
	}
	message, err := p.framed.ask(ctx, frame, size)
	if err != nil {
		return none, err
	}
	response, fits := message.(Res)
	if !fits {
		return none, &RequestError{Reason: "INTERNAL", Code: codes.Internal, Message: "the server replied with a message that does not belong to the call"}
	}
	return response, nil
}

// startAndWait starts a run and waits for its end, for this long at most; the response has the run as it is
// then. Without the stream it only starts the run.
func (p *platform) startAndWait(ctx context.Context, start *pb.StartRunRequest, timeout time.Duration) (*pb.StartRunResponse, error) {
	return retrying(ctx, p, func() (*pb.StartRunResponse, error) {
		both := &pb.StartAndWait{Start: start, Timeout: durationpb.New(timeout)}
		frame := &pb.ClientFrame{Body: &pb.ClientFrame_StartAndWait{StartAndWait: both}}
		response, err := framed[*pb.StartRunResponse](ctx, p, frame, frameBytes+len(start.Input.GetData()))
		if err == errStreamRefused {
			response, err = p.runs.StartRun(ctx, start)
			err = errorOf(err)
		}
		return response, err
	})
}

// clientFrameOf returns the frame for a request and about how large it is; nil where it has to be a unary call.
func clientFrameOf(request any) (*pb.ClientFrame, int) {
	switch known := request.(type) {
	case *pb.StartRunRequest:
		return &pb.ClientFrame{Body: &pb.ClientFrame_StartRun{StartRun: known}}, frameBytes + len(known.Input.GetData())
	case *pb.WaitRunRequest:
		return &pb.ClientFrame{Body: &pb.ClientFrame_WaitRun{WaitRun: known}}, frameBytes
	case *pb.GetRunRequest:
		return &pb.ClientFrame{Body: &pb.ClientFrame_GetRun{GetRun: known}}, frameBytes
	case *pb.CancelRunRequest:
		return &pb.ClientFrame{Body: &pb.ClientFrame_CancelRun{CancelRun: known}}, frameBytes
	case *pb.SendSignalRequest:
		return &pb.ClientFrame{Body: &pb.ClientFrame_SendSignal{SendSignal: known}}, frameBytes + len(known.Payload.GetData())
	}
	return nil, 0
}

// ask sends a frame and waits for its reply, or until the context is done.
func (f *framedCalls) ask(ctx context.Context, frame *pb.ClientFrame, size int) (any, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	if f.refused {
		f.mu.Unlock()
		return nil, errStreamRefused
	}
	if f.stream == nil {
		f.stream = f.open()
	}
	stream := f.stream
	frame.Id, stream.lastID = stream.lastID+1, stream.lastID+1
	reply := make(chan framedReply, 1)
	stream.pending[frame.Id] = reply
	stream.idling.Stop()
	stream.outbox.push(frame, size)
	f.mu.Unlock()
	select {
	case got := <-reply:
		return got.message, got.err
	case <-ctx.Done():
		stream.forget(frame.Id)
		return nil, context.Cause(ctx)
	}
}

// open begins a stream. The calls are locked.
func (f *framedCalls) open() *callStream {
	s := &callStream{calls: f, pending: map[uint32]chan framedReply{}}
	s.outbox = newOutbox(func(frames []*pb.ClientFrame) proto.Message {
		return &pb.RunServiceAttachRequest{Frames: frames}
	}, func(frame *pb.ClientFrame, err error) { s.settle(frame.Id, framedReply{err: unencodable(err)}) })
	s.idling = time.AfterFunc(callStreamIdle, s.endIfIdle)
	go s.run()
	return s
}

// run sends and receives until the stream ends.
func (s *callStream) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := s.calls.runs.Attach(ctx)
	if err != nil {
		s.lost(err)
		return
	}
	go s.outbox.run(ctx, stream)
	for {
		message, err := stream.Recv()
		if err != nil {
			s.lost(err)
			return
		}
		s.calls.mu.Lock()
		s.wasTaken = true
		s.calls.mu.Unlock()
		for _, reply := range message.Replies {
			s.settle(reply.Id, replyOf(reply))
		}
	}
}

func replyOf(reply *pb.ClientReply) framedReply {
	switch result := reply.Result.(type) {
	case *pb.ClientReply_StartRun:
		return framedReply{message: result.StartRun}
	case *pb.ClientReply_StartAndWait:
		return framedReply{message: result.StartAndWait}
	case *pb.ClientReply_WaitRun:
		return framedReply{message: result.WaitRun}
	case *pb.ClientReply_GetRun:
		return framedReply{message: result.GetRun}
	case *pb.ClientReply_CancelRun:
		return framedReply{message: result.CancelRun}
	case *pb.ClientReply_SendSignal:
		return framedReply{message: result.SendSignal}
	case *pb.ClientReply_Error:
		return framedReply{err: errorFromFrame(result.Error)}
	}
	return framedReply{}
}

// settle gives a call its reply.
func (s *callStream) settle(id uint32, reply framedReply) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if waiting := s.take(id); waiting != nil {
		waiting <- reply
	}
}

// take removes a call, whose reply is there or no longer waited for. The calls are locked.
func (s *callStream) take(id uint32) chan framedReply {
	waiting := s.pending[id]
	delete(s.pending, id)
	if len(s.pending) == 0 && !s.ended {
		s.idling.Reset(callStreamIdle)
	}
	return waiting
}

// forget tells the server that nobody waits for the reply to a frame; what the frame has started continues.
func (s *callStream) forget(id uint32) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if s.take(id) != nil && !s.ended {
		s.outbox.push(&pb.ClientFrame{Body: &pb.ClientFrame_Forget{Forget: &pb.Forget{Id: id}}}, frameBytes)
	}
}

// endIfIdle ends the stream if no call is under way.
func (s *callStream) endIfIdle() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if len(s.pending) == 0 && !s.ended {
		s.end()
		s.outbox.close()
	}
}

// end lets the next call begin another stream. The calls are locked.
func (s *callStream) end() {
	s.ended = true
	s.idling.Stop()
	if s.calls.stream == s {
		s.calls.stream = nil
	}
}

// lost fails all calls that have no reply.
func (s *callStream) lost(err error) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if s.ended {
		return
	}
	s.end()
	failure := lossOf(err)
	s.calls.refused = s.calls.refused || failure == errStreamRefused && !s.wasTaken
	for id, waiting := range s.pending {
		delete(s.pending, id)
		waiting <- framedReply{err: failure}
	}
}

// lossOf says what the end of a stream means for the calls on it.
func lossOf(err error) error {
	if errors.Is(err, io.EOF) {
		return &RequestError{Reason: Unavailable, Code: codes.Unavailable, Message: "the server closed the stream"}
	}
	loss := errorOf(err)
	var known *RequestError
	if isTransient(loss) || !errors.As(loss, &known) {
		return loss
	}
	switch known.Code {
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
	default:
		if known.Reason != "SLOW_CONSUMER" {
			return errStreamRefused
		}
	}
	return &RequestError{Reason: Unavailable, Code: codes.Unavailable, Message: known.Message}
}
