package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// An operator's pause takes effect whatever is in flight, and a resume always reaches the run.

// inBothModes runs a test with a worker in a connection, and with one that polls.
func inBothModes(t *testing.T, test func(l *lab, poll bool)) {
	for _, poll := range []bool{false, true} {
		t.Run(fmt.Sprint("poll ", poll), func(t *testing.T) { test(newLab(t), poll) })
	}
}

func hasState[Out any](l *lab, run *pawl.RunHandle[Out], state pb.RunStatus) func() bool {
	return func() bool { return must[*pb.Run](l.t)(run.Get(l.context())).Status == state }
}

func TestAPauseFinishesAStepWithStepsInside(t *testing.T) {
	for what, undoes := range map[string]bool{"step": false, "compensation": true} {
		for when, early := range map[string]bool{"resumed at once": true, "resumed once it is paused": false} {
			t.Run(fmt.Sprint(what, ", ", when), func(t *testing.T) {
				inBothModes(t, func(l *lab, poll bool) { pauseInside(l, poll, undoes, early) })
			})
		}
	}
}

func pauseInside(l *lab, poll, undoes, early bool) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	nothing := func(context.Context) error { return nil }
	nest := func(ctx context.Context) error {
		first := pawl.Do(ctx, "first", func(context.Context) error {
			close(begun)
			<-goOn
			return nil
		})
		return errors.Join(first, pawl.Do(ctx, "second", nothing), pawl.All(ctx, func(ctx context.Context) error {
			return errors.Join(pawl.Sleep(ctx, 5*time.Millisecond), pawl.Do(ctx, "branch", nothing))
		}))
	}
	flow := pawl.NewWorkflow("nested", func(ctx context.Context, in pawl.Void) (pawl.Void, error) {
		if !undoes {
			return in, errors.Join(pawl.Do(ctx, "outer", nest), pawl.Do(ctx, "after", nothing))
		}
		err := errors.Join(pawl.Compensate(ctx, "after", nothing), pawl.Compensate(ctx, "outer", nest))
		return in, errors.Join(err, errors.New("undo it"))
	})
	l.serveBy(poll, flow)
	run := start(l, flow, pawl.Void{})
	<-begun
	pause := run.Pause(l.context(), "have a look")
	// For a worker in a connection to hear of it before the resume.
	time.Sleep(100 * time.Millisecond)
	if early {
		pause = errors.Join(pause, run.Resume(l.context()))
	}
	close(goOn)
	prefix, end := "", pb.RunStatus_RUN_STATUS_COMPLETED
	if undoes {
		prefix, end = "compensate:", pb.RunStatus_RUN_STATUS_FAILED
	}
	if !early {
		waitFor(l.t, "the run is paused", hasState(l, run, pb.RunStatus_RUN_STATUS_PAUSED))
		keys := keysOf(must[[]*pb.JournalEntry](l.t)(run.Journal(l.context())), "workflow.step.completed")
		outer := prefix + "outer"
		if expected := []string{outer + "/first", outer + "/second", outer + "/all:0/branch", outer}; !slices.Equal(keys, expected[:min(len(keys), len(expected))]) {
			// A body that only waits for a moment may be given back, and is executed again.
			l.t.Errorf("recorded before the pause: %q", keys)
		}
		pause = errors.Join(pause, run.Resume(l.context()))
	}
	if pause != nil {
		l.t.Fatal(pause)
	}
	waitFor(l.t, "the run has ended", hasState(l, run, end))
	keys := keysOf(must[[]*pb.JournalEntry](l.t)(run.Journal(l.context())), "workflow.step.completed")
	if len(keys) != 5 || keys[4] != prefix+"after" {
		l.t.Errorf("recorded: %q", keys)
	}
}

func TestAPauseDoesNotLastForABodyThatWaits(t *testing.T) {
	inBothModes(t, func(l *lab, poll bool) {
		var outer, first atomic.Int32
		flow := pawl.NewWorkflow("asking", func(ctx context.Context, in pawl.Void) (int, error) {
			return pawl.Step(ctx, "outer", func(ctx context.Context) (int, error) {
				outer.Add(1)
				err := pawl.Do(ctx, "first", func(context.Context) error { first.Add(1); return nil })
				got, waited := pawl.Signal[int](ctx, "go")
				return got, errors.Join(err, waited)
			})
		})
		l.serveBy(poll, flow)
		run := start(l, flow, pawl.Void{})
		waitFor(l.t, "it waits", func() bool {
			return len(keysOf(must[[]*pb.JournalEntry](l.t)(run.Journal(l.context())), "workflow.wait.created")) > 0
		})
		if err := run.Pause(l.context(), "have a look"); err != nil {
			l.t.Fatal(err)
		}
		waitFor(l.t, "the run is paused", hasState(l, run, pb.RunStatus_RUN_STATUS_PAUSED))
		if err := errors.Join(run.Signal(l.context(), "go", 5), run.Resume(l.context())); err != nil {
			l.t.Fatal(err)
		}
		if got, err := outcome(l, run); got != 5 || err != nil || outer.Load() != 2 || first.Load() != 1 {
			l.t.Errorf("%d, %v; executed %d times, the step inside %d times", got, err, outer.Load(), first.Load())
		}
	})
}
