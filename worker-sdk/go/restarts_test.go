package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// Executions that begin anew: in the mode "replay always", after a retry, and what is left at the end.

func TestReplayAlwaysExecutesNothingTwiceAndFindsDrift(t *testing.T) {
	l := newLab(t)
	var bodies, executions atomic.Int32
	count := func(context.Context) (int, error) { return int(bodies.Add(1)), nil }
	flow := pawl.NewWorkflow("again", func(ctx context.Context, in pawl.Void) (string, error) {
		executions.Add(1)
		if err := pawl.Emit(ctx, "said", 1); err != nil {
			return "", err
		}
		if _, err := pawl.Step(ctx, "one", count); err != nil {
			return "", err
		}
		callback, err := pawl.OpenCallback[string](ctx, "paid", pawl.Timeout(time.Millisecond), pawl.Default("late"))
		if err != nil {
			return "", err
		}
		err = pawl.All(ctx,
			func(ctx context.Context) error {
				return pawl.Do(ctx, "a", func(context.Context) error { bodies.Add(1); return nil })
			},
			func(ctx context.Context) error {
				_, err := pawl.Step(ctx, "outer", func(ctx context.Context) (int, error) { return pawl.Step(ctx, "inner", count) })
				return err
			},
			func(ctx context.Context) error { return pawl.Sleep(ctx, 30*time.Millisecond) },
		)
		if err != nil {
			return "", err
		}
		failed := pawl.Do(ctx, "fails", func(context.Context) error { bodies.Add(1); return errors.New("no") })
		paid, err := callback.Result(ctx)
		return fmt.Sprint(paid, " ", failed), err
	})
	drifting := pawl.NewWorkflow("drifts", func(ctx context.Context, in pawl.Void) (int, error) {
		return pawl.Step(ctx, fmt.Sprint("step ", executions.Add(1)), count)
	})
	for _, poll := range []bool{false, true} {
		t.Run(fmt.Sprint("poll ", poll), func(t *testing.T) {
			bodies.Store(0)
			executions.Store(0)
			worker := must[*pawl.Worker](t)(pawl.NewWorker(pawl.WorkerOptions{
				URL: l.server.URL, Workflows: []pawl.AnyWorkflow{flow, drifting}, ReplayAlways: true, Poll: poll, DrainTimeout: 100 * time.Millisecond,
			}))
			ctx, stop := context.WithCancel(l.context())
			ended := make(chan error, 1)
			go func() { ended <- worker.Run(ctx) }()
			<-worker.Ready()
			if got, err := outcome(l, start(l, flow, pawl.Void{})); got != "late no" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if bodies.Load() != 4 || executions.Load() < 4 {
				t.Errorf("%d bodies in %d executions", bodies.Load(), executions.Load())
			}
			run := start(l, drifting, pawl.Void{})
			waitFor(t, "the drift is found", func() bool {
				return must[*pb.Run](t)(run.Get(l.context())).StatusReason == pb.StatusReason_STATUS_REASON_NON_DETERMINISM
			})
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARetriedParentGoesOnWithItsChild(t *testing.T) {
	l := newLab(t)
	var first, second atomic.Int32
	var fixed atomic.Bool
	child := pawl.NewWorkflow("kid", func(ctx context.Context, n int) (int, error) {
		if err := pawl.Do(ctx, "one", func(context.Context) error { first.Add(1); return nil }); err != nil {
			return 0, err
		}
		return pawl.Step(ctx, "two", func(context.Context) (int, error) {
			if !fixed.Load() {
				return 0, pawl.Terminal(errors.New("not yet"))
			}
			return int(second.Add(1)), nil
		})
	})
	parent := pawl.NewWorkflow("parent of kid", func(ctx context.Context, in pawl.Void) (int, error) { return pawl.Child(ctx, child, 1) })
	l.serve(parent, child)
	run := start(l, parent, pawl.Void{})
	if _, err := outcome(l, run); err == nil {
		t.Fatal("it did not fail")
	}
	fixed.Store(true)
	if err := run.Retry(l.context()); err != nil {
		t.Fatal(err)
	}
	if got, err := outcome(l, run); got != 1 || err != nil || first.Load() != 1 {
		t.Errorf("%d, %v; the child's first step ran %d times", got, err, first.Load())
	}
}

func TestTheEndWaitsForStepsThatAreUnderWay(t *testing.T) {
	l := newLab(t)
	var done atomic.Bool
	flow := pawl.NewWorkflow("left behind", func(ctx context.Context, in pawl.Void) (string, error) {
		begun := make(chan struct{})
		go func() {
			// Nobody takes what it returns.
			_ = pawl.Do(ctx, "behind", func(context.Context) error {
				close(begun)
				time.Sleep(300 * time.Millisecond)
				done.Store(true)
				return nil
			})
		}()
		<-begun
		return "returned", nil
	})
	l.serve(flow)
	run := start(l, flow, pawl.Void{})
	if got, err := outcome(l, run); got != "returned" || err != nil || !done.Load() {
		t.Errorf("%q, %v; the step was done: %v", got, err, done.Load())
	}
	if keys := keysOf(must[[]*pb.JournalEntry](t)(run.Journal(l.context())), "workflow.step.completed"); len(keys) != 1 {
		t.Errorf("recorded: %q", keys)
	}
}

func TestTheEndWaitsForLostWaits(t *testing.T) {
	l := newLab(t)
	flow := pawl.NewWorkflow("hasty", func(ctx context.Context, in pawl.Void) (string, error) {
		return pawl.Race(ctx,
			func(ctx context.Context) (string, error) { return pawl.Signal[string](ctx, "go") },
			func(ctx context.Context) (string, error) {
				return pawl.Step(ctx, "quick", func(context.Context) (string, error) { return "quick", nil })
			},
		)
	})
	l.serve(flow)
	for range 20 {
		run := start(l, flow, pawl.Void{})
		if got, err := outcome(l, run); got != "quick" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		journal := must[[]*pb.JournalEntry](t)(run.Journal(l.context()))
		if closed := keysOf(journal, "workflow.wait.closed"); len(closed) != len(keysOf(journal, "workflow.wait.created")) {
			t.Fatalf("closed: %q, of %v", closed, journal)
		}
	}
}
