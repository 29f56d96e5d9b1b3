package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// Runs without a server keep the same promises, as far as these need none.

var localShort = pawl.LocalOptions{SkipTime: true}

func TestALocalRun(t *testing.T) {
	t.Parallel()
	kid := pawl.NewWorkflow("local kid", func(ctx context.Context, n int) (int, error) {
		if n < 0 {
			return 0, fmt.Errorf("refused %d: %w", n, errSoldOut)
		}
		return n * 2, pawl.Sleep(ctx, time.Hour)
	})
	attempts := 0
	flow := pawl.NewWorkflow("local", func(ctx context.Context, in point) ([]string, error) {
		var lines []string
		add := func(parts ...any) { lines = append(lines, strings.TrimSuffix(fmt.Sprintln(parts...), "\n")) }
		key, err := pawl.Step(ctx, "flaky", func(ctx context.Context) (string, error) {
			attempts++
			if attempts < 4 {
				return "", errors.New("not yet")
			}
			attempt, _ := pawl.CurrentAttempt(ctx)
			return fmt.Sprint(attempt.StepKey, attempt.Number), nil
		}, pawl.Retry{MaxAttempts: 4, Backoff: pawl.Exponential(2, time.Minute)})
		add(key, err)
		add(pawl.SleepCron(ctx, "0 9 * * *", nil))
		late, err := pawl.Signal[string](ctx, "late", pawl.Timeout(time.Hour), pawl.Default("nobody"))
		add(late, err)
		name, err := pawl.Signal[string](ctx, "name")
		add(name, err)
		color, err := pawl.WaitForUser[string](ctx, "Which color?", pawl.Choice("red", "blue"))
		add(color, err)
		_, err = pawl.WaitForUser[string](ctx, "More?", pawl.Skippable())
		add(errors.Is(err, pawl.ErrSkipped))
		approval, err := pawl.WaitForUser[pawl.Approval](ctx, "Ship it?", pawl.Key("ship"))
		add(approval.Approved, approval.Votes[0].Actor, err)
		callback, err := pawl.OpenCallback[map[string]int](ctx, "paid")
		if err != nil {
			return nil, err
		}
		paid, err := callback.Result(ctx)
		add(strings.HasPrefix(callback.URL, "http"), paid["cents"], err)
		double, err := pawl.Child(ctx, kid, in.X)
		add(double, err)
		named, err := pawl.ChildNamed[int](ctx, "local kid", in.Y)
		add(named, err)
		background, err := pawl.Spawn(ctx, kid, 5)
		if err != nil {
			return nil, err
		}
		ten, err := background.Result(ctx)
		add(background.RunID, ten, err)
		_, err = pawl.Child(ctx, kid, -1)
		var failed *pawl.StepFailedError
		add(errors.Is(err, errSoldOut), errors.As(err, &failed))
		return lines, pawl.Emit(ctx, "done", len(lines))
	})
	events := 0
	got := must[[]string](t)(pawl.RunLocally(context.Background(), flow, point{X: 1, Y: 2}, pawl.LocalOptions{
		RunID: "l", SkipTime: true, Workflows: []pawl.AnyWorkflow{kid},
		Signals: map[string][]any{"name": {"Ada"}}, Callbacks: map[string][]any{"paid": {map[string]int{"cents": 7}}},
		Answers: map[string][]any{"Which color?": {"blue"}, "ship": {pawl.Vote{Approved: true, Actor: "ada"}}},
		Answer: func(question pawl.LocalQuestion) (any, bool) {
			return nil, question.Question == "More?" && question.Skippable
		},
		OnEvent: func(event *pb.Event) {
			var count int
			if err := pawl.DecodeEvent(event, &count); event.Type == "done" && err == nil {
				events += count
			}
		},
	}))
	want := []string{
		"flaky4 <nil>", "<nil>", "nobody <nil>", "Ada <nil>", "blue <nil>", "true", "true ada <nil>", "true 7 <nil>",
		"2 <nil>", "4 <nil>", "l~spawn:local.kid 10 <nil>", "true true",
	}
	// How a child's id escapes its name is not of interest here.
	got[10] = "l~spawn:local.kid" + got[10][strings.IndexByte(got[10], ' '):]
	if !reflect.DeepEqual(got, want) || events != len(want) {
		t.Errorf("%d events, and\n%s", events, strings.Join(got, "\n"))
	}
}

func TestALocalRunSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	waits := map[string]func(ctx context.Context) error{
		`Signals: map[string][]any{"s": `: func(ctx context.Context) error { _, err := pawl.Signal[int](ctx, "s"); return err },
		`Answers: map[string][]any{"Q?": `: func(ctx context.Context) error {
			_, err := pawl.WaitForUser[string](ctx, "Q?")
			return err
		},
		`Callbacks: map[string][]any{"c": `: func(ctx context.Context) error {
			callback, err := pawl.OpenCallback[int](ctx, "c")
			if err == nil {
				_, err = callback.Result(ctx)
			}
			return err
		},
		`SkipTime: true`: func(ctx context.Context) error { return pawl.SleepCron(ctx, "0 9 * * *", nil) },
		`Workflows: `:    func(ctx context.Context) error { _, err := pawl.ChildNamed[int](ctx, "unknown", 1); return err },
	}
	for want, wait := range waits {
		flow := pawl.NewWorkflow("missing", func(ctx context.Context, in pawl.Void) (pawl.Void, error) { return in, wait(ctx) })
		if _, err := pawl.RunLocally(ctx, flow, pawl.Void{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("instead of %s: %v", want, err)
		}
	}
}

func TestALocalRunFailsUndoesAndIsCancelled(t *testing.T) {
	t.Parallel()
	var undone []string
	flow := pawl.NewWorkflow("undone", func(ctx context.Context, waits bool) (int, error) {
		for _, name := range []string{"a", "b"} {
			if err := pawl.Compensate(ctx, name, func(context.Context) error { undone = append(undone, name); return nil }); err != nil {
				return 0, err
			}
		}
		if waits {
			return 0, pawl.Sleep(ctx, time.Hour)
		}
		return pawl.Step(ctx, "fails", func(context.Context) (int, error) { return 0, &declined{"4711", "limit"} })
	})
	_, err := pawl.RunLocally(context.Background(), flow, false, localShort)
	var failed *pawl.RunFailedError
	var card *declined
	if !errors.As(err, &failed) || failed.Cancelled || !errors.As(err, &card) || card.Reason != "limit" || strings.Join(undone, "") != "ba" {
		t.Errorf("undone %q after %v", undone, err)
	}
	undone = nil
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = pawl.RunLocally(ctx, flow, true)
	if !errors.As(err, &failed) || !failed.Cancelled || strings.Join(undone, "") != "ba" {
		t.Errorf("undone %q after %v", undone, err)
	}
}

func TestALosingBranchOfALocalRunGivesItsSignalBack(t *testing.T) {
	t.Parallel()
	flow := pawl.NewWorkflow("losers", func(ctx context.Context, in pawl.Void) (string, error) {
		winner, err := pawl.RaceNamed(ctx, map[string]func(ctx context.Context) (string, error){
			"quick": func(ctx context.Context) (string, error) {
				return pawl.Step(ctx, "quick", func(context.Context) (string, error) { return "quick", nil })
			},
			"both": func(ctx context.Context) (string, error) {
				first, err := pawl.Signal[string](ctx, "word")
				if err != nil {
					return "", err
				}
				return first, pawl.Sleep(ctx, time.Hour)
			},
		})
		if err != nil {
			return "", err
		}
		large, err := pawl.Step(ctx, "large", func(context.Context) (string, error) { return strings.Repeat("x", 4<<20), nil })
		return fmt.Sprint(winner, len(large)), err
	})
	got := must[string](t)(pawl.RunLocally(context.Background(), flow, pawl.Void{}, pawl.LocalOptions{Signals: map[string][]any{"word": {"w"}}}))
	if got != fmt.Sprint("quick", 4<<20) {
		t.Errorf("the result is %q", got)
	}
}
