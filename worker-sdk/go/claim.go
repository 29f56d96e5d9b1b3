package pawl

import (
	"context"
	"errors"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
)

// LeaseWait is how long Execute waits while somebody else executes the run. Default: not at all.
type LeaseWait time.Duration

func (LeaseWait) applyStart(*pb.StartRunRequest) {}

// Execute starts a run and executes it in this process: no worker is needed.
// Called again after a crash with the same run id, it continues from where it was;
// called again after the end, it returns the recorded result. A caller that executes a
// run and dies, or whose ctx is done, holds it until the lease ends, 15 s at most:
// until then others get RunLeased, or wait by LeaseWait.
func Execute[In, Out any](ctx context.Context, client *Client, workflow *Workflow[In, Out], in In, options ...StartOption) (Out, error) {
	var none Out
	if _, inRun := placeOf(ctx); inRun {
		return none, usage("Execute inside of a run would not be recorded as a part of it; use Child")
	}
	request, err := client.startRequest(ctx, workflow.def.name, workflow.def, in, options)
	if err != nil {
		return none, err
	}
	request.Claim = true
	var patience time.Duration
	for _, option := range options {
		if wait, ok := option.(LeaseWait); ok {
			patience = time.Duration(wait)
		}
	}
	response, err := client.claim(ctx, request, patience)
	if err != nil {
		return none, err
	}
	handle := &RunHandle[Out]{client: client, RunID: response.Run.GetRunId(), Existing: response.Existing}
	if !hasEnded(response.Run) {
		if response.Claimed == nil {
			return none, &RequestError{Reason: "INTERNAL", Message: "the server gave neither a lease nor an outcome", Code: codes.Internal}
		}
		if err := client.perform(ctx, workflow.def, response.Claimed); err != nil {
			return none, err
		}
		state, err := handle.Get(ctx)
		if err != nil {
			return none, err
		}
		if state.Status == pb.RunStatus_RUN_STATUS_PAUSED {
			reason := strings.TrimPrefix(state.StatusReason.String(), "STATUS_REASON_")
			return none, &RequestError{
				Reason: RunPaused, Code: codes.FailedPrecondition,
				Message:  "the run " + handle.RunID + " is paused: " + orElse(state.StatusDetail, reason),
				Metadata: map[string]string{"run_id": handle.RunID, "status_reason": reason},
			}
		}
	}
	// Ended here, or taken over by somebody else.
	return handle.Result(ctx)
}

func (c *Client) claim(ctx context.Context, request *pb.StartRunRequest, patience time.Duration) (*pb.StartRunResponse, error) {
	end := time.Now().Add(patience)
	for {
		response, err := call(ctx, c.platform, c.platform.runs.StartRun, request)
		if !errors.Is(err, RunLeased) || time.Now().After(end) {
			return response, err
		}
		pause := 500 * time.Millisecond
		var known *RequestError
		if errors.As(err, &known) && known.RetryAfter > 0 {
			pause = known.RetryAfter
		}
		wait(ctx, min(pause, time.Until(end)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// perform executes what was claimed until it has left this process.
func (c *Client) perform(ctx context.Context, def *definition, item *pb.WorkItem) error {
	link := newUnaryLink(c.platform.forRuns(), c.log)
	restarts := make(chan *run, 1)
	link.onRestart = func(r *run) { restarts <- r }
	launch := func(item *pb.WorkItem, before *run) (*run, error) {
		m := newMemo()
		m.add(item.Journal...)
		if item.JournalMore {
			err := c.platform.journal(ctx, item.Lease.RunId, m.lastSeq, func(entries []*pb.JournalEntry) { m.add(entries...) })
			if err != nil {
				return nil, err
			}
		}
		r := newRun(def, item, m, link, c.log)
		r.follow(before)
		go r.perform()
		return r, nil
	}
	r, err := launch(item, nil)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-r.gone:
			if !r.isRestarted {
				return nil
			}
			before := <-restarts
			if r, err = launch(before.again(), before); err != nil {
				return err
			}
		case <-ticker.C:
			go link.beat(r)
		case <-ctx.Done():
			r.leave("the caller gave the run up")
			return context.Cause(ctx)
		}
	}
}
