package pawl

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// throughProxy sends requests of these sizes over streams that are cut once they have more than a
// megabyte. It returns how each ended, and how many streams were cut.
func throughProxy(t *testing.T, sizes ...int) ([]error, int) {
	t.Helper()
	s := &connection{calls: map[uint32]*pendingCall{}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	s.isOpen.Store(true)
	s.outbox = workerOutbox(nil)
	ends := make([]error, len(sizes))
	var left sync.WaitGroup
	left.Add(len(sizes))
	for i, size := range sizes {
		s.open(nil, &pb.WorkerFrame{}, size, func(_ proto.Message, err error) {
			ends[i] = err
			left.Done()
		})
	}
	total, cuts := 0, 0
	for len(s.calls) > 0 {
		frames, size := s.outbox.frames, s.outbox.size
		s.outbox.frames, s.outbox.sizes, s.outbox.size = nil, nil, 0
		if total += size; total > 1_000_000 {
			cuts++
			total = 0
			s.streamCut(&RequestError{Reason: "INTERNAL", Code: codes.Internal})
			s.resend()
			continue
		}
		for _, frame := range frames {
			s.settle(&pb.Reply{Id: frame.Id, Result: &pb.Reply_StepCompleted{StepCompleted: &pb.StepCompletedResponse{}}})
		}
	}
	left.Wait()
	return ends, cuts
}

func TestARequestThatDoesNotGetThroughFails(t *testing.T) {
	ends, cuts := throughProxy(t, 500, 2_000_000, 300_000)
	var refusal *RequestError
	isRefused := errors.As(ends[1], &refusal) && refusal.Reason == "PAYLOAD_TOO_LARGE"
	if ends[0] != nil || ends[2] != nil || !isRefused || cuts != 1+suspectFrameTries {
		t.Errorf("ended with %v after %d cuts", ends, cuts)
	}
}

func TestRequestsThatAreTooLargeTogetherGetThrough(t *testing.T) {
	sizes := make([]int, 30)
	for i := range sizes {
		sizes[i] = 300_000
		if i%3 == 0 {
			sizes[i] = 500
		}
	}
	ends, _ := throughProxy(t, sizes...)
	for i, err := range ends {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
}
