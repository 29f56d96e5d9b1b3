package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// What the SDKs for other languages do as well: children in the background, options of starts, lists, waits of a
// client, spans and agents.

func TestChildrenInTheBackground(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	kid := pawl.NewWorkflow("kid", func(ctx context.Context, n int) (int, error) {
		if n < 0 {
			return 0, errors.New("negative")
		}
		got, err := pawl.Signal[int](ctx, "more")
		return n + got, err
	})
	parent := pawl.NewWorkflow("spawns", func(ctx context.Context, in pawl.Void) (string, error) {
		first, err := pawl.Spawn(ctx, kid, 1)
		if err != nil {
			return "", err
		}
		if _, err = pawl.Spawn(ctx, kid, 5, pawl.RunID("kid-left"), pawl.AbandonChild); err != nil {
			return "", err
		}
		if _, err = pawl.SpawnNamed[int](ctx, "kid", 7, pawl.RunID("kid-cancelled")); err != nil {
			return "", err
		}
		bad, err := pawl.Spawn(ctx, kid, -1, pawl.Key("bad"))
		if err != nil {
			return "", err
		}
		sum, err := first.Result(ctx)
		if err != nil {
			return "", err
		}
		again, err := first.Result(ctx)
		if err != nil {
			return "", err
		}
		_, err = bad.Result(ctx)
		var failed *pawl.StepFailedError
		return fmt.Sprint(first.RunID, " ", sum, " ", again, " ", errors.As(err, &failed)), nil
	})
	l.serve(parent, kid)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, parent, pawl.Void{}, pawl.RunID("p")))
	first := pawl.Handle[int](l.client, "p~spawn:kid")
	waitFor(t, "the parent waits for its first child", func() bool {
		return must[*pb.Run](t)(run.Get(ctx)).Status == pb.RunStatus_RUN_STATUS_WAITING
	})
	if err := first.Signal(ctx, "more", 10); err != nil {
		t.Fatal(err)
	}
	if got := must[string](t)(run.Result(ctx)); got != "p~spawn:kid 11 11 true" {
		t.Errorf("the parent returned %q", got)
	}
	children, _, err := l.client.List(ctx, pawl.ListOptions{ParentRunID: "p", PageSize: 10})
	if err != nil || len(children) != 4 {
		t.Errorf("%d children, %v", len(children), err)
	}
	waitFor(t, "the child that ends with its parent is cancelled", func() bool {
		return must[*pb.Run](t)(pawl.Handle[int](l.client, "kid-cancelled").Get(ctx)).Status == pb.RunStatus_RUN_STATUS_CANCELLED
	})
	left := pawl.Handle[int](l.client, "kid-left")
	if err := left.Signal(ctx, "more", 1); err != nil {
		t.Fatal(err)
	}
	if got := must[int](t)(left.Result(ctx)); got != 6 {
		t.Errorf("the child that continues returned %d", got)
	}
}

func TestOptionsOfStarts(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("limited", func(ctx context.Context, n int) (int, error) {
		return n, pawl.Do(ctx, "hold", func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}, pawl.WorkflowOptions{RateLimit: &pawl.RateLimit{Limit: 100, Period: time.Hour}})
	quick := pawl.NewWorkflow("quick", func(ctx context.Context, n int) (int, error) { return n, nil })
	l.serve(flow, quick)
	limit := pawl.ConcurrencyLimit{Limit: 1}
	first := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, 1, limit, pawl.FairnessKey("all"), pawl.Timeout(time.Hour)))
	waitFor(t, "the first run is executed", func() bool {
		return must[*pb.Run](t)(first.Get(ctx)).Status == pb.RunStatus_RUN_STATUS_RUNNING
	})
	second := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, flow, 2, limit, pawl.QueueTimeout(time.Hour)))
	held := must[*pb.Run](t)(second.Get(ctx))
	if held.StatusReason != pb.StatusReason_STATUS_REASON_CONCURRENCY_LIMIT || held.Timeouts.GetQueue().AsDuration() != time.Hour {
		t.Errorf("the second run is %v", held)
	}
	debounce := pawl.Debounce{Key: "d", Period: 300 * time.Millisecond, MaxWait: time.Minute}
	one := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, quick, 1, debounce))
	two := must[*pawl.RunHandle[int]](t)(pawl.Start(ctx, l.client, quick, 2, debounce))
	if got := must[int](t)(one.Result(ctx)); one.RunID != two.RunID || got != 2 {
		t.Errorf("debounced to %s and %s, with %d", one.RunID, two.RunID, got)
	}
	var misuse *pawl.UsageError
	if _, err := pawl.Start(ctx, l.client, quick, 1, pawl.RunID("a"), pawl.IdempotencyKey("b")); !errors.As(err, &misuse) {
		t.Errorf("two names for a run: %v", err)
	}
	if _, err := pawl.Start(ctx, l.client, quick, 1, pawl.FairnessKey("{a")); !errors.As(err, &misuse) {
		t.Errorf("half a brace: %v", err)
	}
}

func TestListsAndWaitsOfAClient(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("asks", func(ctx context.Context, in pawl.Void) (string, error) {
		color, err := pawl.WaitForUser[string](ctx, "Which color?", pawl.Choice("red", "blue"), pawl.Assignees("ada"))
		if err != nil {
			return "", err
		}
		if _, err := pawl.WaitForUser[string](ctx, "Anything else?", pawl.Skippable()); !errors.Is(err, pawl.ErrSkipped) {
			return "", err
		}
		_, err = pawl.Signal[int](ctx, "never")
		var cancelled *pawl.WaitCancelledError
		return fmt.Sprint(color, " ", errors.As(err, &cancelled)), nil
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}, pawl.Tags{"team": "a"}))
	open := func(options pawl.WaitsOptions) *pb.Wait {
		var found []*pb.Wait
		waitFor(t, "a wait is open", func() (isOpen bool) {
			var err error
			if found, _, err = l.client.Waits(ctx, options); err != nil {
				t.Fatal(err)
			}
			return len(found) == 1
		})
		return found[0]
	}
	color := open(pawl.WaitsOptions{Assignee: "ada", ExcludeUnassigned: true})
	link := must[*pb.CreateWaitLinkResponse](t)(l.client.CreateWaitLink(ctx, color.WaitId, pawl.WaitLinkOptions{Assignee: "ada", ExpiresIn: time.Hour}))
	if !strings.HasSuffix(link.Url, link.Token) {
		t.Errorf("the link is %v", link)
	}
	must[*pb.Wait](t)(l.client.Answer(ctx, color.WaitId, "blue", pawl.AnswerOptions{Actor: "ada", ResolutionID: "r-1"}))
	var answer string
	if wait := must[*pb.Wait](t)(l.client.Wait(ctx, color.WaitId, &answer)); answer != "blue" || wait.ResolvedBy != "ada" {
		t.Errorf("the wait is %v with %q", wait, answer)
	}
	more := open(pawl.WaitsOptions{Kinds: []pb.WaitKind{pb.WaitKind_WAIT_KIND_USER}, RunID: run.RunID})
	must[*pb.Wait](t)(l.client.Skip(ctx, more.WaitId, pawl.AnswerOptions{}))
	signal := open(pawl.WaitsOptions{Workflow: "asks"})
	must[*pb.Wait](t)(l.client.CancelWait(ctx, signal.WaitId, pawl.AnswerOptions{Actor: "ada", Comment: "not needed"}))
	if got := must[string](t)(run.Result(ctx)); got != "blue true" {
		t.Errorf("the result is %q", got)
	}
	if err := run.UpdateTags(ctx, pawl.Tags{"done": "yes"}, "team"); err != nil {
		t.Fatal(err)
	}
	runs, _, err := l.client.List(ctx, pawl.ListOptions{Workflow: "asks", Tags: pawl.Tags{"done": "yes"}, Statuses: []pb.RunStatus{pb.RunStatus_RUN_STATUS_COMPLETED}})
	if err != nil || len(runs) != 1 || runs[0].Tags["team"] != "" {
		t.Errorf("listed %v, %v", runs, err)
	}
	workflows, workers := must[[]*pb.Workflow](t)(l.client.Workflows(ctx)), must[[]*pb.Worker](t)(l.client.Workers(ctx))
	if len(workflows) != 1 || workflows[0].Spec.Name != "asks" || len(workers) != 1 || workers[0].Info.Language != "go" {
		t.Errorf("the server knows %v and %v", workflows, workers)
	}
	if err := run.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Get(ctx); !errors.Is(err, pawl.NotFound) {
		t.Errorf("a deleted run: %v", err)
	}
}

func TestSpansAgentsAndLogs(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("agents", func(ctx context.Context, in pawl.Void) (string, error) {
		results, errs, err := pawl.MapSettled(ctx, "item", []int{1, -1}, func(ctx context.Context, n int) (int, error) {
			return pawl.Step(ctx, "check", func(context.Context) (int, error) {
				if n < 0 {
					return 0, errors.New("negative")
				}
				return n, nil
			})
		})
		if err != nil || results[0] != 1 || errs[0] != nil || errs[1] == nil {
			return "", fmt.Errorf("settled %v, %v, %v", results, errs, err)
		}
		if err := pawl.Log(ctx, "info", "begins", map[string]int{"n": 1}); err != nil {
			return "", err
		}
		return pawl.Step(ctx, "research", func(ctx context.Context) (string, error) {
			return pawl.Agent(ctx, "researcher", func(ctx context.Context) (string, error) {
				if err := pawl.Emit(ctx, "thought", "hm", pawl.EmitOptions{ContentIndex: 3}); err != nil {
					return "", err
				}
				return pawl.Span(ctx, "tool", "search", func(ctx context.Context) (string, error) {
					return "found", pawl.Emit(ctx, "hit", 1, pawl.EmitOptions{ID: "hit-1"})
				})
			})
		}, pawl.Durable)
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	if got := must[string](t)(run.Result(ctx)); got != "found" {
		t.Errorf("the result is %q", got)
	}
	byType := map[string]*pb.Event{}
	var types []string
	for event, err := range run.Watch(ctx, pawl.WatchOptions{Classes: []pb.EventClass{pb.EventClass_EVENT_CLASS_DELTA}, Children: true}) {
		if err != nil {
			t.Fatal(err)
		}
		byType[event.Type] = event
		types = append(types, event.Type)
	}
	if byType["log"] == nil {
		t.Errorf("the log line is not kept: %q", types)
	}
	agent := byType["agent.started"]
	if agent == nil {
		// What is only buffered is gone once its step is on record.
		return
	}
	for child, parent := range map[string]*pb.Event{"thought": agent, "tool.started": agent, "hit": byType["tool.started"], "agent.completed": agent} {
		if got := byType[child]; got.GetParentEventId() != parent.GetEventId() {
			t.Errorf("%s is below %q, not %q", child, got.GetParentEventId(), parent.GetEventId())
		}
	}
	if byType["thought"].GetContentIndex() != 3 || !slices.Contains(types, "agent.completed") {
		t.Errorf("the events are %q", types)
	}
}

func TestASignalIsTakenOnce(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("clicks", func(ctx context.Context, in pawl.Void) (string, error) {
		first, err := pawl.Signal[string](ctx, "click")
		if err != nil {
			return "", err
		}
		second, err := pawl.Signal[string](ctx, "click", pawl.Timeout(100*time.Millisecond), pawl.Default("none"))
		return first + " " + second, err
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	for range 2 {
		if err := run.Signal(ctx, "click", "once", pawl.SignalSendOptions{SignalID: "c-1", Actor: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := must[string](t)(run.Result(ctx)); got != "once none" {
		t.Errorf("the result is %q", got)
	}
}
