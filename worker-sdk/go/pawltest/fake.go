package pawltest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fake is a client for tests of code that starts and controls runs: nothing is executed. Each start is noted and
// completes at once with the result that was prepared for its workflow, or with no result. Lists, watches and journals
// are refused.
type Fake struct {
	// Pass it to the code under test.
	Client *pawl.Client

	t  testing.TB
	mu sync.Mutex
	// By workflow.
	results   map[string]*pb.Run
	runs      map[string]*pb.Run
	starts    []*pb.StartRunRequest
	signals   []*pb.SendSignalRequest
	cancelled []string
}

// NewFake makes a fake, which ends with the test.
func NewFake(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{t: t, results: map[string]*pb.Run{}, runs: map[string]*pb.Run{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterRunServiceServer(server, &fakeRuns{fake: f})
	pb.RegisterSignalServiceServer(server, &fakeSignals{fake: f})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	if f.Client, err = pawl.NewClient(pawl.ClientOptions{URL: listener.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Client.Close)
	return f
}

// Result prepares the result of all runs of a workflow that are started later.
func (f *Fake) Result(workflow string, result any) {
	f.t.Helper()
	data, err := json.Marshal(result)
	if err != nil {
		f.t.Fatal(err)
	}
	f.prepare(workflow, &pb.Run{Status: pb.RunStatus_RUN_STATUS_COMPLETED, Output: &pb.Payload{Encoding: "json", Data: data}})
}

// Failure prepares the failure of all runs of a workflow that are started later.
func (f *Fake) Failure(workflow, errorType, message string) {
	f.prepare(workflow, &pb.Run{Status: pb.RunStatus_RUN_STATUS_FAILED, Failure: &pb.Failure{Type: errorType, Message: message}})
}

func (f *Fake) prepare(workflow string, run *pb.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results[workflow] = run
}

// Starts returns the starts so far, in their order.
func (f *Fake) Starts() []*pb.StartRunRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

// Signals returns the signals so far, in their order.
func (f *Fake) Signals() []*pb.SendSignalRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.signals)
}

// Cancelled returns the ids of the runs that were cancelled, in their order.
func (f *Fake) Cancelled() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.cancelled)
}

func (f *Fake) find(id string) (*pb.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if run := f.runs[id]; run != nil {
		return run, nil
	}
	return nil, status.Error(codes.NotFound, fmt.Sprintf("the fake knows no run %q", id))
}

type fakeRuns struct {
	pb.UnimplementedRunServiceServer
	fake *Fake
}

func (s *fakeRuns) StartRun(_ context.Context, request *pb.StartRunRequest) (*pb.StartRunResponse, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts = append(f.starts, request)
	id := request.RunId
	if id == "" {
		id = "key-" + request.IdempotencyKey
	}
	if known := f.runs[id]; known != nil {
		return &pb.StartRunResponse{Run: known, Existing: true}, nil
	}
	run := &pb.Run{RunId: id, Workflow: request.Workflow, Status: pb.RunStatus_RUN_STATUS_COMPLETED, Output: &pb.Payload{Encoding: "void"}}
	if prepared := f.results[request.Workflow]; prepared != nil {
		run.Status, run.Output, run.Failure = prepared.Status, prepared.Output, prepared.Failure
	}
	f.runs[id] = run
	return &pb.StartRunResponse{Run: run}, nil
}

func (s *fakeRuns) GetRun(_ context.Context, request *pb.GetRunRequest) (*pb.GetRunResponse, error) {
	run, err := s.fake.find(request.RunId)
	return &pb.GetRunResponse{Run: run}, err
}

func (s *fakeRuns) WaitRun(_ context.Context, request *pb.WaitRunRequest) (*pb.WaitRunResponse, error) {
	run, err := s.fake.find(request.RunId)
	return &pb.WaitRunResponse{Run: run}, err
}

func (s *fakeRuns) CancelRun(_ context.Context, request *pb.CancelRunRequest) (*pb.CancelRunResponse, error) {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.fake.cancelled = append(s.fake.cancelled, request.RunId)
	return &pb.CancelRunResponse{Run: s.fake.runs[request.RunId]}, nil
}

type fakeSignals struct {
	pb.UnimplementedSignalServiceServer
	fake *Fake
}

func (s *fakeSignals) SendSignal(_ context.Context, request *pb.SendSignalRequest) (*pb.SendSignalResponse, error) {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.fake.signals = append(s.fake.signals, request)
	return &pb.SendSignalResponse{SignalId: request.SignalId}, nil
}
