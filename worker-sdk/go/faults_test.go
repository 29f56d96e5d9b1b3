package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// What programs do wrong, and what others do to them: it ends where it started, and is told there.

func start[In, Out any](l *lab, flow *pawl.Workflow[In, Out], in In) *pawl.RunHandle[Out] {
	l.t.Helper()
	return must[*pawl.RunHandle[Out]](l.t)(pawl.Start(l.context(), l.client, flow, in))
}

func outcome[Out any](l *lab, run *pawl.RunHandle[Out]) (Out, error) {
	l.t.Helper()
	return run.Result(l.context())
}

func TestWhatTheServerRefusesIsReturnedByTheCall(t *testing.T) {
	l := newLab(t)
	var undone, finally atomic.Int32
	question := func(options ...pawl.QuestionOption) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := pawl.WaitForUser[string](ctx, "Which?", options...)
			return err
		}
	}
	calls := map[string]func(ctx context.Context) error{
		"cron":     func(ctx context.Context) error { return pawl.SleepCron(ctx, "61 * * * *", nil) },
		"far":      func(ctx context.Context) error { return pawl.SleepUntil(ctx, time.Unix(1<<40, 0)) },
		"long":     func(ctx context.Context) error { return pawl.Sleep(ctx, 200_000*time.Hour) },
		"twice":    question(pawl.Assignees("a", "a")),
		"schema":   question(pawl.Form(`{"type": 7}`)),
		"utf8":     question(pawl.Choice("a\xff")),
		"large":    question(pawl.Choice(strings.Repeat("x", 5<<20))),
		"reminded": question(pawl.Reminders(make([]time.Duration, 200)...)),
		"child id": func(ctx context.Context) error {
			_, err := pawl.ChildNamed[int](ctx, "other", 1, pawl.RunID("bad id"))
			return err
		},
	}
	bad := pawl.NewWorkflow("refused", func(ctx context.Context, call string) (string, error) {
		if err := pawl.Compensate(ctx, "undo", func(context.Context) error { undone.Add(1); return nil }); err != nil {
			return "", err
		}
		defer finally.Add(1)
		err := calls[call](ctx)
		if err == nil {
			return "it was taken", nil
		}
		if err := pawl.Do(ctx, "note", func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		return "", fmt.Errorf("refused: %w", err)
	})
	good := pawl.NewWorkflow("good", func(ctx context.Context, in pawl.Void) (int, error) {
		return pawl.Step(ctx, "slow", func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
	})
	l.serve(bad, good)
	beside := start(l, good, pawl.Void{})
	runs := map[string]*pawl.RunHandle[string]{}
	for call := range calls {
		runs[call] = start(l, bad, call)
	}
	for call, run := range runs {
		got, err := outcome(l, run)
		var failed *pawl.RunFailedError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "refused: ") {
			t.Errorf("%s: %q, %v", call, got, err)
		}
	}
	must[int](t)(outcome(l, beside))
	if int(undone.Load()) != len(calls) || int(finally.Load()) != len(calls) {
		t.Errorf("of %d runs %d were undone, %d came to their end", len(calls), undone.Load(), finally.Load())
	}
}

type silent struct{ text string }

func (s *silent) Error() string { return s.text }

func TestNothingThatCodeReturnsEndsTheWorker(t *testing.T) {
	l := newLab(t)
	type carrier struct{ E error }
	bodies := map[string]func(ctx context.Context) (any, error){
		"typed nil": func(context.Context) (any, error) { var none *silent; return nil, none },
		"no delay":  func(context.Context) (any, error) { return nil, pawl.RetryAfter(errors.New("busy"), -time.Hour) },
		"terminal":  func(context.Context) (any, error) { var none *silent; return nil, pawl.Terminal(none) },
		"func":      func(context.Context) (any, error) { return func() {}, nil },
		"late":      func(context.Context) (any, error) { return time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC), nil },
	}
	flow := pawl.NewWorkflow("hostile", func(ctx context.Context, body string) (string, error) {
		if body == "workflow" {
			var none *silent
			return "", none
		}
		retry := pawl.Retry{MaxAttempts: 2, Backoff: pawl.Constant(time.Millisecond)}
		if body == "nan" {
			mean, err := pawl.Step(ctx, "s", func(context.Context) (float64, error) { return math.NaN(), nil }, retry)
			return fmt.Sprint(mean), err
		}
		if body == "interface" {
			_, err := pawl.Step(ctx, "s", func(context.Context) (carrier, error) { return carrier{errors.New("x")}, nil }, retry)
			return "caught", ignore[*pawl.StepFailedError](err)
		}
		_, err := pawl.Step(ctx, "s", bodies[body], retry)
		return "caught", ignore[*pawl.StepFailedError](err)
	})
	l.serve(flow)
	for body := range bodies {
		if got, err := outcome(l, start(l, flow, body)); got != "caught" || err != nil {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
	if got, err := outcome(l, start(l, flow, "nan")); got != "NaN" || err != nil {
		t.Errorf("NaN: %q, %v", got, err)
	}
	if got, err := outcome(l, start(l, flow, "interface")); got != "caught" || err != nil {
		t.Errorf("an error in a field: %q, %v", got, err)
	}
	if _, err := outcome(l, start(l, flow, "workflow")); err == nil || !strings.Contains(err.Error(), "a nil *pawl_test.silent") {
		t.Errorf("the workflow's typed nil came to %v", err)
	}
}

// ignore is nil for an error of that type.
func ignore[E error](err error) error {
	var expected E
	if errors.As(err, &expected) {
		return nil
	}
	return fmt.Errorf("it is a %T: %w", err, err)
}

// The deadlines of contexts are the language's own; a replay has to come to the same end.
func TestContextsOfUserCode(t *testing.T) {
	l := newLab(t)
	var executed, mainPath atomic.Int32
	wait := map[string]func(ctx context.Context) error{
		"short": func(ctx context.Context) error {
			c, cancel := context.WithTimeout(ctx, 15*time.Millisecond)
			defer cancel()
			_, err := pawl.Signal[string](c, "go")
			return expect(err, context.DeadlineExceeded)
		},
		"long": func(ctx context.Context) error {
			c, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
			defer cancel()
			_, err := pawl.WaitForUser[string](c, "Go?")
			return expect(err, context.DeadlineExceeded)
		},
		"passed": func(ctx context.Context) error {
			got, err := pawl.Signal[int](ctx, "x", pawl.Timeout(time.Until(time.Now().Add(-time.Hour))), pawl.Default(7))
			if got != 7 {
				return fmt.Errorf("got %d, %w", got, err)
			}
			return nil
		},
		"sleep": func(ctx context.Context) error {
			c, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			return ignore[*pawl.UsageError](pawl.Sleep(c, 4*time.Second))
		},
		"cancel": func(ctx context.Context) error {
			c, cancel := context.WithCancel(ctx)
			defer time.AfterFunc(30*time.Millisecond, cancel).Stop()
			_, err := pawl.Signal[string](c, "go")
			return expect(err, context.Canceled)
		},
		"done": func(ctx context.Context) error {
			c, cancel := context.WithCancel(ctx)
			cancel()
			if err := expect(pawl.Do(c, "charge", func(context.Context) error { executed.Add(1); return nil }), context.Canceled); err != nil {
				return err
			}
			_, err := pawl.ChildNamed[int](c, "nobody", 1)
			return expect(err, context.Canceled)
		},
		"map": func(ctx context.Context) error {
			c, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
			defer cancel()
			_, err := pawl.Map(c, "item", make([]int, 20), func(ctx context.Context, _ int) (int, error) {
				return 1, pawl.Do(ctx, "work", func(context.Context) error { time.Sleep(50 * time.Millisecond); return nil })
			}, pawl.Concurrency[int](2))
			return expect(err, context.DeadlineExceeded)
		},
	}
	flow := pawl.NewWorkflow("contexts", func(ctx context.Context, how string) (string, error) {
		if err := wait[how](ctx); err != nil {
			return "", pawl.Do(ctx, "main path", func(context.Context) error { mainPath.Add(1); return err })
		}
		if err := pawl.Do(ctx, "fallback", func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		// The run is given back, and comes again by a replay.
		if err := pawl.Sleep(ctx, 1300*time.Millisecond); err != nil {
			return "", err
		}
		return pawl.Signal[string](ctx, "go", pawl.Timeout(3*time.Second), pawl.Default("LOST"))
	})
	l.serve(flow)
	runs := map[string]*pawl.RunHandle[string]{}
	for how := range wait {
		runs[how] = start(l, flow, how)
	}
	for how, run := range runs {
		waitFor(t, how+" has gone on", func() bool {
			keys := keysOf(must[[]*pb.JournalEntry](t)(run.Journal(l.context())), "workflow.step.completed")
			return len(keys) > 0 && keys[len(keys)-1] == "fallback" || must[*pb.Run](t)(run.Get(l.context())).Status == pb.RunStatus_RUN_STATUS_FAILED
		})
		if err := run.Signal(l.context(), "go", "kept"); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
	for how, run := range runs {
		if got, err := outcome(l, run); got != "kept" || err != nil {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
	if executed.Load() > 0 || mainPath.Load() > 0 {
		t.Errorf("%d steps ran although their context was done, %d runs went two ways", executed.Load(), mainPath.Load())
	}
}

func expect(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return fmt.Errorf("not %v: %w", target, err)
}

func TestACancelEndsAStepThatDoesNotListen(t *testing.T) {
	l := newLab(t)
	var unlocked, undone atomic.Int32
	inStep, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	flow := pawl.NewWorkflow("deaf", func(ctx context.Context, in pawl.Void) (pawl.Void, error) {
		if err := pawl.Compensate(ctx, "undo", func(context.Context) error { undone.Add(1); return nil }); err != nil {
			return in, err
		}
		err := pawl.Do(ctx, "work", func(context.Context) error {
			close(inStep)
			<-release
			return nil
		})
		return in, errors.Join(err, pawl.Do(ctx, "unlock", func(context.Context) error { unlocked.Add(1); return nil }))
	})
	l.serve(flow)
	run := start(l, flow, pawl.Void{})
	<-inStep
	if err := run.Cancel(l.context(), "not wanted"); err != nil {
		t.Fatal(err)
	}
	_, err := outcome(l, run)
	var failed *pawl.RunFailedError
	if !errors.As(err, &failed) || !failed.Cancelled || unlocked.Load() != 1 || undone.Load() != 1 {
		t.Errorf("%v; unlocked %d times, undone %d times", err, unlocked.Load(), undone.Load())
	}
	journal := must[[]*pb.JournalEntry](t)(run.Journal(l.context()))
	if keys := keysOf(journal, "workflow.step.cancelled"); len(keys) != 1 || keys[0] != "work" {
		t.Errorf("stopped attempts: %q", keys)
	}
}

func TestASettledBranchThatPanics(t *testing.T) {
	t.Parallel()
	works := func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil }
	errs, err := pawl.AllSettled(context.Background(), func(context.Context) error { panic("x") }, works)
	var panicked *pawl.PanicError
	if err != nil || !errors.As(errs[0], &panicked) || errs[1] != nil {
		t.Errorf("%v, %v", errs, err)
	}
}

func TestMisuseIsToldAtOnce(t *testing.T) {
	t.Parallel()
	flow := pawl.NewWorkflow("flow", func(context.Context, int) (int, error) { return 0, nil })
	for what, workflows := range map[string][]pawl.AnyWorkflow{"nil": {nil}, "typed nil": {(*pawl.Workflow[int, int])(nil)}} {
		if _, err := pawl.NewWorker(pawl.WorkerOptions{Workflows: workflows}); ignore[*pawl.UsageError](err) != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	worker := must[*pawl.Worker](t)(pawl.NewWorker(pawl.WorkerOptions{URL: "http://127.0.0.1:9", Workflows: []pawl.AnyWorkflow{flow}}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := worker.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := worker.Run(ctx); ignore[*pawl.UsageError](err) != nil {
		t.Errorf("a second Run: %v", err)
	}
}
