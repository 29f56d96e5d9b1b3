package pawl_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// refusingServer has one run, and does not take the reports of its step "charge".
type refusingServer struct {
	pb.UnimplementedWorkerServiceServer
	pb.UnimplementedStepServiceServer
	// What is refused, and with which code.
	result, failure codes.Code
	ended           chan *pb.Failure

	mu     sync.Mutex
	seq    uint32
	given  bool
	counts map[string]int
}

func (s *refusingServer) next() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	return s.seq
}

// refuse counts the report, and refuses it. A fault is sent again soon.
func (s *refusingServer) refuse(report, stepKey string, code codes.Code) error {
	if stepKey != "charge" || code == codes.OK {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[report]++
	reason := "PAYLOAD_TOO_LARGE"
	if code == codes.Internal {
		reason = "INTERNAL"
	}
	refusal, _ := status.New(code, "it is too large").WithDetails(
		&errdetails.ErrorInfo{Reason: reason}, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)},
	)
	return refusal.Err()
}

func (s *refusingServer) PollWork(ctx context.Context, request *pb.PollWorkRequest) (*pb.PollWorkResponse, error) {
	response := &pb.PollWorkResponse{LeaseTime: durationpb.New(time.Minute), HeartbeatInterval: durationpb.New(10 * time.Second)}
	s.mu.Lock()
	isFirst := !s.given
	s.given = true
	s.mu.Unlock()
	if isFirst {
		response.Items = []*pb.WorkItem{{
			Lease: &pb.Lease{RunId: "r", Fence: 1, Attempt: 1}, Workflow: "order", Input: &pb.Payload{Encoding: "void"},
			Journal: []*pb.JournalEntry{{Seq: s.next(), Type: "run.started"}}, JournalLength: 1,
		}}
		return response, nil
	}
	select {
	case <-ctx.Done():
	case <-time.After(request.Wait.AsDuration()):
	}
	return response, nil
}

func (s *refusingServer) StepStarted(context.Context, *pb.StepStartedRequest) (*pb.StepStartedResponse, error) {
	execute := &pb.StepStartedResponse_Execute{Attempt: 1}
	return &pb.StepStartedResponse{Outcome: &pb.StepStartedResponse_Execute_{Execute: execute}}, nil
}

func (s *refusingServer) StepCompleted(_ context.Context, request *pb.StepCompletedRequest) (*pb.StepCompletedResponse, error) {
	if err := s.refuse("result", request.StepKey, s.result); err != nil {
		return nil, err
	}
	return &pb.StepCompletedResponse{Seq: s.next()}, nil
}

func (s *refusingServer) StepFailed(_ context.Context, request *pb.StepFailedRequest) (*pb.StepFailedResponse, error) {
	if err := s.refuse("failure", request.StepKey, s.failure); err != nil {
		return nil, err
	}
	final := &pb.StepFailedResponse_Final{Action: pb.StepFailedResponse_Final_ACTION_THROW}
	return &pb.StepFailedResponse{Seq: s.next(), Next: &pb.StepFailedResponse_Final_{Final: final}}, nil
}

func (s *refusingServer) FailRun(_ context.Context, request *pb.FailRunRequest) (*pb.FailRunResponse, error) {
	s.ended <- request.Failure
	return &pb.FailRunResponse{}, nil
}

// A report that the server does not take for what it holds is for the code to know, at the call: its clean-up and
// compensations run.
func TestAReportThatIsRefusedIsReturnedByTheCall(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		result, failure codes.Code
		seen            []string
		counts          map[string]int
	}{
		"result":  {codes.InvalidArgument, codes.OK, []string{"step failed", "noted", "undone"}, map[string]int{"result": 1}},
		"both":    {codes.InvalidArgument, codes.InvalidArgument, []string{"refused", "noted", "undone"}, map[string]int{"result": 1, "failure": 2}},
		"a fault": {codes.Internal, codes.OK, []string{"step failed", "noted", "undone"}, map[string]int{"result": 20}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &refusingServer{result: c.result, failure: c.failure, ended: make(chan *pb.Failure, 1), counts: map[string]int{}}
			server := grpc.NewServer()
			pb.RegisterWorkerServiceServer(server, s)
			pb.RegisterStepServiceServer(server, s)
			listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
			go server.Serve(listener)
			defer server.Stop()
			var seen []string
			note := func(what string) func(context.Context) error {
				return func(context.Context) error { seen = append(seen, what); return nil }
			}
			order := pawl.NewWorkflow("order", func(ctx context.Context, in pawl.Void) (pawl.Void, error) {
				if err := pawl.Compensate(ctx, "undo", note("undone")); err != nil {
					return in, err
				}
				_, err := pawl.Step(ctx, "charge", func(context.Context) (string, error) { return "a receipt", nil })
				var failed *pawl.StepFailedError
				var refused *pawl.RequestError
				if errors.As(err, &failed) {
					seen = append(seen, "step failed")
				} else if errors.As(err, &refused) {
					seen = append(seen, "refused")
				}
				return in, errors.Join(err, pawl.Do(ctx, "note", note("noted")))
			})
			worker := must[*pawl.Worker](t)(pawl.NewWorker(pawl.WorkerOptions{
				URL: listener.Addr().String(), Workflows: []pawl.AnyWorkflow{order}, Poll: true, DrainTimeout: time.Millisecond,
			}))
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- worker.Run(ctx) }()
			failure := <-s.ended
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if !strings.Contains(failure.Message, "it is too large") || !slices.Equal(seen, c.seen) {
				t.Errorf("the run failed with %q, after %q", failure.Message, seen)
			}
			for report, count := range c.counts {
				if s.counts[report] != count {
					t.Errorf("the %s was sent %d times", report, s.counts[report])
				}
			}
		})
	}
}
