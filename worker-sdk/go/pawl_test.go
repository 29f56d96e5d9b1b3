package pawl_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	"pawl.dev/pawl/internal/testserver"
	pb "pawl.dev/pawl/pawlv1"
)

// What the SDK's calls do, over the wire and against the real server.

type lab struct {
	t      *testing.T
	server *testserver.Server
	client *pawl.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	server := testserver.Start(t)
	client, err := pawl.NewClient(pawl.ClientOptions{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &lab{t, server, client}
}

// serve runs a worker until the returned function is called, or the test ends.
func (l *lab) serve(workflows ...pawl.AnyWorkflow) (stop func()) {
	l.t.Helper()
	return l.serveBy(false, workflows...)
}

// serveBy is serve with a worker that polls, or that holds a connection.
func (l *lab) serveBy(poll bool, workflows ...pawl.AnyWorkflow) (stop func()) {
	l.t.Helper()
	worker, err := pawl.NewWorker(pawl.WorkerOptions{URL: l.server.URL, Workflows: workflows, Poll: poll, DrainTimeout: 200 * time.Millisecond})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	select {
	case <-worker.Ready():
	case err := <-done:
		l.t.Fatalf("the worker ended: %v", err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("the worker ended with %v", err)
		}
	}
	l.t.Cleanup(stop)
	return stop
}

func (l *lab) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	l.t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// keysOf lists the keys of a journal's entries of one type, in its order.
func keysOf(entries []*pb.JournalEntry, entryType string) []string {
	var keys []string
	for _, entry := range entries {
		if entry.Type == entryType {
			keys = append(keys, entry.StepKey)
		}
	}
	return keys
}

func waitFor(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

type point struct {
	X, Y int
	At   time.Time
}

func TestStepsAndKeys(t *testing.T) {
	l := newLab(t)
	var bodies atomic.Int32
	flow := pawl.NewWorkflow("keys", func(ctx context.Context, in point) ([]int, error) {
		count := func(ctx context.Context) (int, error) { return int(bodies.Add(1)), nil }
		for range 2 {
			if _, err := pawl.Step(ctx, "a/b", count); err != nil {
				return nil, err
			}
		}
		if _, err := pawl.Step(ctx, "keyed", count, pawl.Key("x:1")); err != nil {
			return nil, err
		}
		_, err := pawl.Step(ctx, "outer", func(ctx context.Context) (int, error) {
			return pawl.Step(ctx, "inner", count)
		})
		if err != nil {
			return nil, err
		}
		if err := pawl.All(ctx,
			func(ctx context.Context) error { _, err := pawl.Step(ctx, "same", count); return err },
			func(ctx context.Context) error { _, err := pawl.Step(ctx, "same", count); return err },
		); err != nil {
			return nil, err
		}
		return pawl.Map(ctx, "each", []int{3, 1, 2}, func(ctx context.Context, n int) (int, error) {
			return pawl.Step(ctx, "square", func(context.Context) (int, error) { return n*n + in.X, nil })
		}, pawl.Concurrency[int](2))
	}, pawl.WorkflowOptions{ID: "keys-{X}-{Y}"})
	l.serve(flow)
	ctx := l.context()
	in := point{1, 2, time.UnixMilli(1_700_000_000_000).UTC()}
	run := must[*pawl.RunHandle[[]int]](t)(pawl.Start(ctx, l.client, flow, in))
	if run.RunID != "keys-1-2" {
		t.Errorf("the run id is %s", run.RunID)
	}
	if got := must[[]int](t)(run.Result(ctx)); !reflect.DeepEqual(got, []int{10, 2, 5}) {
		t.Errorf("the result is %v", got)
	}
	keys := keysOf(must[[]*pb.JournalEntry](t)(run.Journal(ctx)), "workflow.step.completed")
	want := []string{"a%2Fb", "a%2Fb#2", "keyed[x%3A1]", "outer/inner", "outer"}
	if !reflect.DeepEqual(keys[:5], want) {
		t.Errorf("the keys are %q", keys)
	}
	for _, key := range []string{"all:0/same", "all:1/same", "map:each/0/square", "map:each/1/square", "map:each/2/square"} {
		if !strings.Contains(strings.Join(keys, " ")+" ", key+" ") {
			t.Errorf("%s is missing in %q", key, keys)
		}
	}
	again := must[*pawl.RunHandle[[]int]](t)(pawl.Start(ctx, l.client, flow, in))
	if !again.Existing || again.RunID != run.RunID {
		t.Errorf("the same start made %+v", again)
	}
}

type declined struct{ Card, Reason string }

func (d *declined) Error() string { return "card " + d.Card + " declined" }

var errSoldOut = errors.New("sold out")

func TestErrors(t *testing.T) {
	l := newLab(t)
	var attempts atomic.Int32
	flow := pawl.NewWorkflow("errors", func(ctx context.Context, kind string) (int, error) {
		return pawl.Step(ctx, "try", func(context.Context) (int, error) {
			n := int(attempts.Add(1))
			switch {
			case kind == "retried" && n < 3:
				return 0, errSoldOut
			case kind == "typed":
				return 0, pawl.Terminal(&declined{"4711", "limit"})
			case kind == "panic":
				panic("oh")
			case kind == "wrapped":
				return 0, errors.Join(errSoldOut, errors.New("x"))
			}
			return n, nil
		}, pawl.Retry{MaxAttempts: 3, Backoff: pawl.Constant(10 * time.Millisecond), NonRetryable: []string{"Panic"}})
	})
	l.serve(flow)
	ctx := l.context()
	outcome := func(kind string) (int, error) {
		attempts.Store(0)
		run := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, kind))
		return run.Result(ctx)
	}
	if got := must[int](t)(outcome("retried")); got != 3 {
		t.Errorf("it took %d attempts", got)
	}
	_, err := outcome("typed")
	var card *declined
	var failed *pawl.RunFailedError
	if !errors.As(err, &card) || card.Reason != "limit" || !errors.As(err, &failed) || failed.Type != "declined" {
		t.Errorf("the error is %#v", err)
	}
	if attempts.Load() != 1 {
		t.Errorf("a terminal error was tried %d times", attempts.Load())
	}
	if _, err := outcome("panic"); err == nil || !strings.Contains(err.Error(), "panic: oh") {
		t.Errorf("the error is %v", err)
	}
	if _, err := outcome("wrapped"); !errors.Is(err, errSoldOut) || attempts.Load() != 3 {
		t.Errorf("the error after %d attempts is %v", attempts.Load(), err)
	}
}

func TestSuspensionSignalChildAndSleep(t *testing.T) {
	l := newLab(t)
	var begun, deferred, leaving atomic.Int32
	child := pawl.NewWorkflow("child", func(ctx context.Context, n int) (int, error) {
		return n * 2, pawl.Sleep(ctx, 1500*time.Millisecond)
	})
	parent := pawl.NewWorkflow("parent", func(ctx context.Context, n int) (string, error) {
		begun.Add(1)
		defer func() {
			deferred.Add(1)
			if pawl.Leaving(ctx) {
				leaving.Add(1)
			}
		}()
		doubled, err := pawl.Child(ctx, child, n)
		if err != nil {
			return "", err
		}
		late, err := pawl.Signal[string](ctx, "late", pawl.Timeout(10*time.Millisecond), pawl.Default("none"))
		if err != nil || late != "none" {
			return late, err
		}
		name, err := pawl.Signal[string](ctx, "approved")
		return strings.Repeat(name, doubled), err
	})
	l.serve(parent, child)
	ctx := l.context()
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, parent, 1))
	waitFor(t, "the run is suspended on the signal", func() bool {
		state := must[*pb.Run](t)(run.Get(ctx))
		return state.Status == pb.RunStatus_RUN_STATUS_WAITING && len(state.Waits) == 1 && state.Waits[0].Name == "approved"
	})
	if err := run.Signal(ctx, "approved", "x"); err != nil {
		t.Fatal(err)
	}
	if got := must[string](t)(run.Result(ctx)); got != "xx" {
		t.Errorf("the result is %q", got)
	}
	if begun.Load() < 2 || deferred.Load() != begun.Load() || leaving.Load() != begun.Load()-1 {
		t.Errorf("begun %d times, deferred %d times, %d of them leaving", begun.Load(), deferred.Load(), leaving.Load())
	}
}
