// A complete Pawl worker without an SDK, on generated stubs alone; docs/protocol.md explains it.
package main

import (
	"context"
	"errors"
	"fmt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"os"
	pb "pawl.dev/pawl/pawlv1"
	"time"
)

type run struct {
	pb.StepServiceClient
	pb.WorkerServiceClient
	*pb.Lease // run id and fence
	failed    []string
}

// errGone: the run was given back, or is somebody else's. Stop, and report nothing.
var errGone = errors.New("the run has left this worker")

// send sends a message until it is answered: without an answer nobody knows what is recorded.
func send[Q, A any](rpc func(context.Context, *Q, ...grpc.CallOption) (*A, error), message *Q) (*A, error) {
	answer, err := rpc(context.Background(), message)
	for ; status.Code(err) == codes.Unavailable; answer, err = rpc(context.Background(), message) {
		time.Sleep(200 * time.Millisecond)
	}
	return answer, err
}

// step does its effect until its result is recorded. Its key is its name: the workflow uses each once.
func (r *run) step(name string) error {
	start, err := send(r.StepStarted, &pb.StepStartedRequest{RunId: r.RunId, Fence: r.Fence, StepKey: name, Name: name,
		Kind: pb.StepKind_STEP_KIND_STEP, RequestId: "the only one", RetryPolicy: &pb.RetryPolicy{MaxAttempts: 3}})
	if failure := start.GetReplay().GetFailure(); failure != nil {
		r.failed = []string{name} // the workflow does not catch it
		return errors.New(failure.Message)
	} else if err != nil || start.GetReplay() != nil { // recorded: its output is in there, if it has one
		return err
	} else if wait := start.GetWait(); wait != nil { // it backs off, by the server's clock: ask again, but not at once
		time.Sleep(min(max(time.Until(wait.Until.AsTime()), time.Second/5), time.Second))
		return r.step(name)
	} else if start.GetExecute() == nil { // stop: the run is paused or cancelled, as a directive would say
		_, err = send(r.SuspendRun, &pb.SuspendRunRequest{RunId: r.RunId, Fence: r.Fence})
		return errors.Join(errGone, err)
	}
	attempt := start.GetExecute().Attempt
	if problem := effect(start.GetExecute().IdempotencyKey, attempt); problem != nil {
		_, _ = send(r.StepFailed, &pb.StepFailedRequest{RunId: r.RunId, Fence: r.Fence, StepKey: name,
			Attempt: attempt, Failure: &pb.Failure{Type: "Error", Message: problem.Error()}})
		return r.step(name) // it backs off, or has failed finally: the server says which
	}
	_, err = send(r.StepCompleted, &pb.StepCompletedRequest{RunId: r.RunId, Fence: r.Fence, StepKey: name,
		Attempt: attempt, Output: &pb.Payload{Encoding: "void"}})
	return err // only where this is nil is the result real
}

// sleep registers a timer, and gives the run back until the server wakes it.
func (r *run) sleep(duration time.Duration) error {
	start, err := send(r.StepStarted, &pb.StepStartedRequest{RunId: r.RunId, Fence: r.Fence, StepKey: "sleep:nap",
		Name: "nap", Kind: pb.StepKind_STEP_KIND_SLEEP, Wait: &pb.WaitSpec{Duration: durationpb.New(duration)}})
	if err != nil || start.GetReplay() != nil { // replay: it has fired
		return err
	}
	answer, err := send(r.SuspendRun, &pb.SuspendRunRequest{RunId: r.RunId, Fence: r.Fence})
	if answer.GetResumed() { // it has fired meanwhile: ask again
		return r.sleep(duration)
	}
	return errors.Join(errGone, err)
}

// effect is what a step does. Its key is the same for all attempts, for those who can tell repetitions by it.
func effect(key string, attempt uint32) error {
	fmt.Println(key, attempt)
	if attempt == 1 {
		return errors.New("no answer")
	}
	return nil
}

// perform does a run from its beginning; what is recorded is skipped.
func (r *run) perform(cancelling bool) error {
	err := errors.New("cancelled") // only a clean-up is left then, and this workflow has none
	if !cancelling {
		err = r.step("charge")
	}
	if err == nil {
		if err = r.sleep(1500 * time.Millisecond); err == nil {
			err = r.step("ship")
		}
	}
	fence := r.Fence
	if err == nil {
		_, err = send(r.CompleteRun, &pb.CompleteRunRequest{RunId: r.RunId, Fence: fence, Output: &pb.Payload{Data: []byte(`"shipped"`)}})
	}
	if status.Code(err) == codes.Aborted { // LEASE_LOST: a heartbeat says whether the run was cancelled
		answer, _ := send(r.HeartbeatLeases, &pb.HeartbeatLeasesRequest{Leases: []*pb.Lease{r.Lease}})
		if err = errGone; answer.GetResults()[0].Status == pb.LeaseStatus_LEASE_STATUS_CANCEL {
			fence, err = answer.Results[0].Fence, errors.New("cancelled")
		}
	}
	if err != nil && !errors.Is(err, errGone) {
		_, err = send(r.FailRun, &pb.FailRunRequest{RunId: r.RunId, Fence: fence, FailedStepKeys: r.failed,
			Failure: &pb.Failure{Type: "Error", Message: err.Error()}})
	}
	return err
}

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	worker, steps := pb.NewWorkerServiceClient(conn), pb.NewStepServiceClient(conn)
	for err == nil {
		var work *pb.PollWorkResponse
		work, err = send(worker.PollWork, &pb.PollWorkRequest{Worker: &pb.WorkerInfo{WorkerId: "stub",
			InstanceId: fmt.Sprint("stub-", os.Getpid()), Workflows: []*pb.WorkflowSpec{{Name: "stub-order"}}}})
		for _, item := range work.GetItems() { // one run at a time; start it more often for more
			ctx, done := context.WithCancel(context.Background())
			go func() { // keeps the lease; should it be lost, the answers to the steps say so
				for ; ctx.Err() == nil; time.Sleep(5 * time.Second) {
					_, _ = worker.HeartbeatLeases(ctx, &pb.HeartbeatLeasesRequest{Leases: []*pb.Lease{item.Lease}})
				}
			}()
			fmt.Println((&run{steps, worker, item.Lease, nil}).perform(item.Cancelling))
			done()
		}
	}
	panic(err)
}
