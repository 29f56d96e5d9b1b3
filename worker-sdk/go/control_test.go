package pawl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// Cancel, pause, replays with other code, and what several branches do.

func TestCancelLetsTheCodeCleanUp(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	var cleaned, after atomic.Int32
	inStep := make(chan struct{})
	flow := pawl.NewWorkflow("cancelled", func(ctx context.Context, in pawl.Void) (int, error) {
		_, err := pawl.Step(ctx, "long", func(ctx context.Context) (int, error) {
			close(inStep)
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		var cancelled *pawl.Cancelled
		if !errors.As(err, &cancelled) || !errors.Is(err, context.Canceled) {
			return 0, fmt.Errorf("the step ended with %v", err)
		}
		if err := pawl.Do(ctx, "clean up", func(ctx context.Context) error {
			cleaned.Add(1)
			return ctx.Err()
		}); err != nil {
			after.Add(100)
			return 0, err
		}
		after.Add(1)
		return 7, nil
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	<-inStep
	if err := run.Cancel(ctx, "not wanted"); err != nil {
		t.Fatal(err)
	}
	_, err := run.Result(ctx)
	var failed *pawl.RunFailedError
	if !errors.As(err, &failed) || !failed.Cancelled {
		t.Errorf("the outcome is %v", err)
	}
	if cleaned.Load() != 1 || after.Load() != 1 {
		t.Errorf("cleaned up %d times, %d after", cleaned.Load(), after.Load())
	}
}

func TestPauseRecordsWhatIsInFlight(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	var bodies atomic.Int32
	inStep, goOn := make(chan struct{}), make(chan struct{})
	flow := pawl.NewWorkflow("paused", func(ctx context.Context, in pawl.Void) (int, error) {
		if err := pawl.Do(ctx, "long", func(ctx context.Context) error {
			bodies.Add(1)
			close(inStep)
			<-goOn
			return nil
		}); err != nil {
			return 0, err
		}
		return pawl.Step(ctx, "next", func(context.Context) (int, error) { return int(bodies.Add(1)), nil })
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	<-inStep
	if err := run.Pause(ctx, "have a look"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	waitFor(t, "the run is paused", func() bool {
		return must[*pb.Run](t)(run.Get(ctx)).StatusReason == pb.StatusReason_STATUS_REASON_PAUSED_BY_OPERATOR
	})
	if keys := keysOf(must[[]*pb.JournalEntry](t)(run.Journal(ctx)), "workflow.step.completed"); len(keys) != 1 {
		t.Errorf("recorded before the pause: %q", keys)
	}
	if err := run.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if got := must[int](t)(run.Result(ctx)); got != 2 {
		t.Errorf("%d bodies ran", got)
	}
}

func TestOtherCodePausesTheRun(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	var input atomic.Int32
	flow := pawl.NewWorkflow("drifting", func(ctx context.Context, in pawl.Void) (int, error) {
		double := func(_ context.Context, n int32) (int32, error) { return 2 * n, nil }
		if _, err := pawl.Apply(ctx, "double", double, input.Add(1)); err != nil {
			return 0, err
		}
		return pawl.Signal[int](ctx, "go")
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	waitFor(t, "the run is suspended", func() bool {
		return must[*pb.Run](t)(run.Get(ctx)).Status == pb.RunStatus_RUN_STATUS_WAITING
	})
	if err := run.Signal(ctx, "go", 1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the run is paused", func() bool {
		state := must[*pb.Run](t)(run.Get(ctx))
		return state.StatusReason == pb.StatusReason_STATUS_REASON_NON_DETERMINISM
	})
	input.Store(0)
	if err := run.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if got := must[int](t)(run.Result(ctx)); got != 1 {
		t.Errorf("the result is %d", got)
	}
}

func TestTwoGoroutinesOfOneScope(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("ambiguous", func(ctx context.Context, key bool) (int, error) {
		var group sync.WaitGroup
		for n := range 2 {
			group.Go(func() {
				var options []pawl.StepOption
				if key {
					options = append(options, pawl.Key(fmt.Sprint(n)))
				}
				// What it returns is the test's last line.
				_, _ = pawl.Step(ctx, "same", func(ctx context.Context) (int, error) {
					if !key {
						// Until the other one has asked, which ends the run.
						<-ctx.Done()
					}
					return n, nil
				}, options...)
			})
		}
		group.Wait()
		return 1, nil
	})
	l.serve(flow)
	_, err := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, false)).Result(ctx)
	var failed *pawl.RunFailedError
	if !errors.As(err, &failed) || failed.Type != "AmbiguousStepKeyError" {
		t.Errorf("the outcome is %v", err)
	}
	must[int](t)(must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, true)).Result(ctx))
}

// Branches whose steps take about the same time are replayed many times over: the
// winner of the race and what was cut off stay as they were.
func TestParallelReplaysAgree(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	var mu sync.Mutex
	seen := map[string][]string{}
	flow := pawl.NewWorkflow("racing", func(ctx context.Context, id int) (string, error) {
		racer := func(name string) func(ctx context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				for n := range 3 {
					if err := pawl.Do(ctx, fmt.Sprint("lap-", n), func(context.Context) error { return nil }); err != nil {
						return "", err
					}
				}
				return name, nil
			}
		}
		var winners []string
		for range 3 {
			winner, err := pawl.Race(ctx, racer("a"), racer("b"), racer("c"))
			if err != nil {
				return "", err
			}
			winners = append(winners, winner)
			key := fmt.Sprint(id)
			mu.Lock()
			seen[key] = append(seen[key], strings.Join(winners, ""))
			mu.Unlock()
			// Gives the run back, so that the next race comes after a replay.
			if _, err := pawl.Signal[int](ctx, "next"); err != nil {
				return "", err
			}
		}
		return strings.Join(winners, ""), nil
	})
	l.serve(flow)
	const runs = 6
	var handles []*pawl.RunHandle[string]
	for id := range runs {
		handles = append(handles, must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, id)))
	}
	for round := range 3 {
		for _, run := range handles {
			waitFor(t, "the run is suspended", func() bool {
				created := keysOf(must[[]*pb.JournalEntry](t)(run.Journal(ctx)), "workflow.wait.created")
				return len(created) == round+1 && must[*pb.Run](t)(run.Get(ctx)).Status == pb.RunStatus_RUN_STATUS_WAITING
			})
			if err := run.Signal(ctx, "next", 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for id, run := range handles {
		got := must[string](t)(run.Result(ctx))
		for _, winners := range seen[fmt.Sprint(id)] {
			if !strings.HasPrefix(got, winners) {
				t.Errorf("run %d came to %s, but had seen %s", id, got, winners)
			}
		}
	}
}

type rich struct {
	When  time.Time `json:"when"`
	Big   *big.Int  `json:"big"`
	Raw   []byte    `json:"raw"`
	Notes []string  `json:"notes,omitempty"`
	Any   any       `json:"any"`
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	large := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	value := rich{
		When: time.UnixMilli(1_700_000_000_123).UTC(), Big: new(big.Int).Lsh(big.NewInt(1), 80), Raw: []byte{0, 255},
		Any: map[string]any{"$pawl": "date", "n": 1.5, "nothing": nil},
	}
	flow := pawl.NewWorkflow("values", func(ctx context.Context, in rich) (rich, error) {
		got, err := pawl.Step(ctx, "large", func(context.Context) ([]byte, error) { return large, nil })
		if err != nil || !bytes.Equal(got, large) {
			return in, fmt.Errorf("%d bytes, %v", len(got), err)
		}
		if err := pawl.Sleep(ctx, 1200*time.Millisecond); err != nil {
			return in, err
		}
		return pawl.Step(ctx, "same", func(context.Context) (rich, error) { return in, nil })
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[rich]](t)(pawl.Start(ctx, l.client, flow, value))
	if got := must[rich](t)(run.Result(ctx)); !reflect.DeepEqual(got, value) {
		t.Errorf("got %+v", got)
	}
}

func TestOutsideOfARun(t *testing.T) {
	t.Parallel()
	flow := pawl.NewWorkflow("direct", func(ctx context.Context, n int) (int, error) {
		squares, err := pawl.Map(ctx, "squares", []int{1, 2, n}, func(ctx context.Context, n int) (int, error) {
			return pawl.Step(ctx, "square", func(context.Context) (int, error) { return n * n, nil })
		})
		return squares[2], err
	})
	if got := must[int](t)(flow.Call(context.Background(), 5)); got != 25 {
		t.Errorf("got %d", got)
	}
}
