package pawl_test

import (
	"context"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// A step ends at the moment in which its run is cancelled, so that its result is refused. It is not sent
// again under the new fence, although the code has been told of the cancel, by another branch, by then.
func TestWhatIsInFlightAtACancelIsNotRecorded(t *testing.T) {
	l := newLab(t)
	flow := pawl.NewWorkflow("stopped", func(ctx context.Context, delay time.Duration) (string, error) {
		return "", pawl.All(ctx,
			func(ctx context.Context) error { _, err := pawl.Signal[int](ctx, "never"); return err },
			func(ctx context.Context) error {
				return pawl.Do(ctx, "ends", func(ctx context.Context) error {
					run := pawl.Handle[string](l.client, pawl.CurrentRun(ctx).RunID)
					waitFor(t, "the signal is awaited", func() bool {
						return len(keysOf(must[[]*pb.JournalEntry](t)(run.Journal(ctx)), "workflow.wait.created")) == 1
					})
					go func() { _ = run.Cancel(l.context(), "enough") }()
					time.Sleep(delay)
					return nil
				})
			},
		)
	})
	l.serve(flow)
	for i := range 40 {
		run := start(l, flow, time.Duration(i)*100*time.Microsecond)
		_, _ = outcome(l, run)
		isCancelled := false
		for _, entry := range must[[]*pb.JournalEntry](t)(run.Journal(l.context())) {
			isCancelled = isCancelled || entry.Type == "run.cancelling"
			if isCancelled && entry.Type == "workflow.step.completed" {
				t.Fatalf("%s was recorded after the cancel, with a delay of %d00 µs", entry.StepKey, i)
			}
		}
	}
}
