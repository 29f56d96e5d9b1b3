package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc"
)

// A client's calls share one stream, survive kills of the server, and are unary where the stream is not taken.

func TestCallsOfManyGoroutinesAndKillsOfTheServer(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	var effects sync.Map
	flow := pawl.NewWorkflow("framed", func(ctx context.Context, n int) (int, error) {
		got, err := pawl.Signal[int](ctx, "add")
		if err != nil {
			return 0, err
		}
		return pawl.Step(ctx, "sum", func(context.Context) (int, error) {
			effects.Store(n, true)
			return n + got, nil
		})
	})
	l.serve(flow)
	// A machine under load needs long to start a server.
	client := must[*pawl.Client](t)(pawl.NewClient(pawl.ClientOptions{URL: l.server.URL, RetryFor: 2 * time.Minute}))
	defer client.Close()
	const runs = 60
	var done sync.WaitGroup
	var wrong atomic.Int32
	for n := range runs {
		done.Go(func() {
			run, err := pawl.Start(ctx, client, flow, n, pawl.RunID(fmt.Sprint("framed-", n)))
			if err == nil {
				err = run.Signal(ctx, "add", 1000)
			}
			var got int
			if err == nil {
				got, err = run.Result(ctx)
			}
			if err != nil || got != n+1000 {
				wrong.Add(1)
				t.Errorf("run %d came to %d, %v", n, got, err)
			}
		})
		if n == runs/3 || n == 2*runs/3 {
			l.server.Restart(t)
		}
	}
	done.Wait()
	for n := range runs {
		entries := must[[]*pb.JournalEntry](t)(pawl.Handle[int](client, fmt.Sprint("framed-", n)).Journal(ctx))
		signals := 0
		for _, entry := range entries {
			if entry.Type == "workflow.signal.received" {
				signals++
			}
		}
		if signals != 1 {
			t.Errorf("run %d got %d signals", n, signals)
		}
	}
}

func TestRunStartsAndWaits(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("quick", func(ctx context.Context, n int) (int, error) {
		if n < 0 {
			return 0, errors.New("negative")
		}
		return n * 2, nil
	})
	l.serve(flow)
	if got := must[int](t)(pawl.Run(ctx, l.client, flow, 21)); got != 42 {
		t.Errorf("got %d", got)
	}
	if got := must[int](t)(pawl.RunNamed[int](ctx, l.client, "quick", 4)); got != 8 {
		t.Errorf("got %d", got)
	}
	var failed *pawl.RunFailedError
	if _, err := pawl.Run(ctx, l.client, flow, -1); !errors.As(err, &failed) || failed.Message != "negative" {
		t.Errorf("the outcome is %v", err)
	}
	if _, err := pawl.RunNamed[int](ctx, l.client, "never registered", 1); !errors.Is(err, pawl.NotFound) {
		t.Errorf("the refusal is %v", err)
	}
}

func TestACallThatIsGivenUpLeavesTheOthers(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("waits", func(ctx context.Context, in pawl.Void) (string, error) {
		return pawl.Signal[string](ctx, "go")
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	other := make(chan string, 1)
	go func() {
		got, _ := run.Result(ctx)
		other <- got
	}()
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := run.Result(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call that was given up returned %v", err)
	}
	if _, err := run.Result(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without time returned %v", err)
	}
	if err := run.Signal(ctx, "go", "on"); err != nil {
		t.Fatal(err)
	}
	if got := <-other; got != "on" {
		t.Errorf("the other call returned %q", got)
	}
}

// oldServer knows no stream of a client.
type oldServer struct {
	pb.UnimplementedRunServiceServer
	calls atomic.Int32
}

func (s *oldServer) GetRun(_ context.Context, request *pb.GetRunRequest) (*pb.GetRunResponse, error) {
	s.calls.Add(1)
	return &pb.GetRunResponse{Run: &pb.Run{RunId: request.RunId}}, nil
}

func TestUnaryCallsWhereTheStreamIsNotTaken(t *testing.T) {
	t.Parallel()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	old, server := &oldServer{}, grpc.NewServer()
	pb.RegisterRunServiceServer(server, old)
	go server.Serve(listener)
	defer server.Stop()
	client := must[*pawl.Client](t)(pawl.NewClient(pawl.ClientOptions{URL: listener.Addr().String()}))
	defer client.Close()
	for range 3 {
		run := must[*pb.Run](t)(pawl.Handle[int](client, "a").Get(context.Background()))
		if run.RunId != "a" {
			t.Errorf("got %v", run)
		}
	}
	if old.calls.Load() != 3 {
		t.Errorf("%d unary calls", old.calls.Load())
	}
}

func TestAClientWithoutAServerSaysSo(t *testing.T) {
	t.Parallel()
	client := must[*pawl.Client](t)(pawl.NewClient(pawl.ClientOptions{URL: "127.0.0.1:1", RetryFor: 300 * time.Millisecond}))
	defer client.Close()
	began := time.Now()
	_, err := pawl.Handle[int](client, "a").Get(context.Background())
	if !errors.Is(err, pawl.Unavailable) || !strings.Contains(err.Error(), "no Pawl server answers at 127.0.0.1:1; start one with") || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
