package pawl_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// A signal comes before the end of the step that sends it: a worker that nobody reports that hands
// both out in that order, as the replay does.
func TestLiveOrderIsTheReplaysOrder(t *testing.T) {
	inBothModes(t, func(l *lab, poll bool) {
		var mu sync.Mutex
		var seen []string
		flow := pawl.NewWorkflow("ordered", func(ctx context.Context, in pawl.Void) (string, error) {
			var order strings.Builder
			note := func(name string, branch func(ctx context.Context) error) func(ctx context.Context) error {
				return func(ctx context.Context) error {
					err := branch(ctx)
					order.WriteString(name)
					return err
				}
			}
			err := pawl.All(ctx,
				note("step ", func(ctx context.Context) error {
					return pawl.Do(ctx, "sends", func(ctx context.Context) error {
						id := pawl.CurrentRun(ctx).RunID
						waitFor(t, "both signals are awaited", func() bool {
							journal := must[[]*pb.JournalEntry](t)(pawl.Handle[string](l.client, id).Journal(ctx))
							return len(keysOf(journal, "workflow.wait.created")) == 2
						})
						run := pawl.Handle[string](l.client, id)
						return errors.Join(run.Signal(ctx, "b", 1), run.Signal(ctx, "a", 1))
					})
				}),
				note("a ", func(ctx context.Context) error { _, err := pawl.Signal[int](ctx, "a"); return err }),
				note("b ", func(ctx context.Context) error { _, err := pawl.Signal[int](ctx, "b"); return err }),
			)
			mu.Lock()
			seen = append(seen, order.String())
			mu.Unlock()
			if err != nil {
				return "", err
			}
			// Gives the run back, so that a replay follows.
			_, err = pawl.Signal[int](ctx, "next")
			return order.String(), err
		})
		l.serveBy(poll, flow)
		run := start(l, flow, pawl.Void{})
		waitFor(t, "the run is suspended", hasState(l, run, pb.RunStatus_RUN_STATUS_WAITING))
		if err := run.Signal(l.context(), "next", 1); err != nil {
			l.t.Fatal(err)
		}
		got, err := outcome(l, run)
		if err != nil || len(seen) != 2 || seen[0] != "b a step " || got != seen[0] {
			l.t.Errorf("live and replayed: %q; %v", seen, err)
		}
	})
}
