package pawl_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pawl.dev/pawl"
)

// Each recorded attempt is told once, under the span of its run, and a replay tells nothing.
func TestTraceStep(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	var told []string
	parents := map[string]bool{}
	type around struct{}
	tracer := func(ctx context.Context, step pawl.TracedStep) (context.Context, func(pawl.StepEnd)) {
		outer, _ := ctx.Value(around{}).(string)
		return context.WithValue(ctx, around{}, step.StepKey), func(end pawl.StepEnd) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprint(step.StepKey, " ", step.Attempt, " in ", outer, " ", end.Outcome, " ", end.ErrorType))
			parents[step.Traceparent] = true
		}
	}
	flow := pawl.NewWorkflow("traced", func(ctx context.Context, in pawl.Void) (pawl.Void, error) {
		err := pawl.Do(ctx, "outer", func(ctx context.Context) error {
			return pawl.Do(ctx, "inner", func(context.Context) error { return nil })
		})
		if err != nil {
			return in, err
		}
		err = pawl.Do(ctx, "fails", func(context.Context) error { return errors.New("not told") },
			pawl.Retry{MaxAttempts: 2, Backoff: pawl.Constant(10 * time.Millisecond)})
		if err == nil {
			return in, errors.New("it should fail")
		}
		if err := pawl.Sleep(ctx, 1100*time.Millisecond); err != nil { // the code starts anew
			return in, err
		}
		return in, pawl.Do(ctx, "last", func(context.Context) error { return nil })
	})
	worker, err := pawl.NewWorker(pawl.WorkerOptions{URL: l.server.URL, Workflows: []pawl.AnyWorkflow{flow}, TraceStep: tracer})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	<-worker.Ready()
	run, err := pawl.Start(l.context(), l.client, flow, pawl.Void{}, pawl.RunID("traced-1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Result(l.context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := []string{
		"outer/inner 1 in outer completed ", "outer 1 in  completed ",
		"fails 1 in  retrying Error", "fails 2 in  failed Error", "last 1 in  completed ",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	digest := func(text string, digits int) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])[:digits]
	}
	parent := "00-" + digest("pawl.trace\ntraced-1", 32) + "-" + digest("pawl.span\ntraced-1", 16) + "-01"
	if len(parents) != 1 || !parents[parent] {
		t.Errorf("the parents were %v, not %s", parents, parent)
	}
}
